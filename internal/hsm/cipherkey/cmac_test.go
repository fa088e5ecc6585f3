package cipherkey_test

import (
	"encoding/hex"
	"testing"

	"meridian/internal/hsm/cipherkey"
)

// TestCMACKnownAnswers are the examples of NIST SP 800-38B, of which those for
// AES-128 are RFC 4493's.
func TestCMACKnownAnswers(t *testing.T) {
	message := unhex(t, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	for _, test := range []struct {
		algorithm cipherkey.Algorithm
		key       string
		lengths   [4]int
		want      [4]string
	}{
		{
			cipherkey.AES128, "2b7e151628aed2a6abf7158809cf4f3c",
			[4]int{0, 16, 40, 64},
			[4]string{
				"bb1d6929e95937287fa37d129b756746", "070a16b46b4d4144f79bdd9dd04a287c",
				"dfa66747de9ae63030ca32611497c827", "51f0bebf7e3b9d92fc49741779363cfe",
			},
		},
		{
			cipherkey.AES192, "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
			[4]int{0, 16, 40, 64},
			[4]string{
				"d17ddf46adaacde531cac483de7a9367", "9e99a7bf31e710900662f65e617c5184",
				"8a1de5be2eb31aad089a82e6ee908b0e", "a1d5df0eed790f794d77589659f39a11",
			},
		},
		{
			cipherkey.AES256, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
			[4]int{0, 16, 40, 64},
			[4]string{
				"028962f61b7bf89efc6b551f4667d983", "28a7023f452e8f82bd4bf28d8c37c35c",
				"aaf3d8f1de5640c232f5b169b9c911e6", "e1992190549f6ed5696a2c056c315410",
			},
		},
		{
			cipherkey.TDES2, "4cf15134a2850dd58a3d10ba80570d38",
			[4]int{0, 8, 20, 32},
			[4]string{"bd2ebf9a3ba00361", "4ff2ab813c53ce83", "62dd1b471902bd4e", "31b1e431dabc4eb8"},
		},
		{
			cipherkey.TDES3, "8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5",
			[4]int{0, 8, 20, 32},
			[4]string{"b7a688e122ffaf95", "8e8f293136283797", "743ddbe0ce2dc2ed", "33e6b1092400eae5"},
		},
	} {
		block, err := test.algorithm.Block(unhex(t, test.key))
		if err != nil {
			t.Fatal(err)
		}
		code := cipherkey.NewCMAC(block)
		for i, length := range test.lengths {
			sum := code.Sum(message[:length])
			if got := hex.EncodeToString(sum[:block.BlockSize()]); got != test.want[i] {
				t.Errorf("%s, %d bytes: %s, want %s", test.algorithm, length, got, test.want[i])
			}
		}
	}
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
