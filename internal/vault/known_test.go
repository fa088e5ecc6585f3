package vault_test

// Values under the sandbox's master key, made apart from this program with
// Python's cryptography package from the descriptions in doc.go, token.go and
// xaes.go. That they are public is what the sandbox's key is for.
const (
	// knownWrapped is the key 0123456789ABCDEFFEDCBA9876543210 for "mac-key"
	// with the nonce "ABCDEFGHIJKLMNOPQRSTUVWX".
	knownWrapped = "0154de43394142434445464748494a4b4c4d4e4f5051525354555657584b7dddcc965335573b9a50c49bf4caf3c33bb220239c55eb86954fd628386af7"

	sandboxTokenKey = "4246eb92a6b3ff45cada099357e00799ec42be0f5552b8b520fa86dc53a7a651"

	sandboxPINReferenceKey = "af9a4df1622779d797d340870f2fd9f2b40e838ae47ad4e9e7a9eaeda954e0a3"
	// knownReferenceHMAC is of "onetwo" under that key.
	knownReferenceHMAC = "e86f679378862c1a5e6c2cdf43f8071385c7eeb85fc6bc848195ad90c3104ce6"
)
