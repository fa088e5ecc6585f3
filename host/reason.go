package host

import "slices"

// CloseReason says why a connection was closed or refused. The set is closed:
// it is a metric label and what operators search the log for.
type CloseReason string

// Reasons that lie with the peer.
const (
	// ClosePeer: the peer closed between frames and has all its answers.
	ClosePeer CloseReason = "peer_closed"
	// ClosePeerReset: the peer or the network reset the connection.
	ClosePeerReset CloseReason = "peer_reset"
	// CloseTruncated: the peer closed inside a frame.
	CloseTruncated CloseReason = "truncated_frame"
	// CloseIdle: no frame within IdleTimeout and no request in flight.
	CloseIdle CloseReason = "idle_timeout"
	// CloseReadTimeout: a frame was begun and not finished within ReadTimeout.
	CloseReadTimeout CloseReason = "read_timeout"
	// CloseWriteTimeout: the peer did not take its answers within WriteTimeout.
	CloseWriteTimeout CloseReason = "write_timeout"
	// CloseBadFrame: a frame's length cannot be trusted, so no later boundary can;
	// or frame after frame had a wrong TPDU or application header.
	CloseBadFrame CloseReason = "bad_frame"
	// CloseTLSHandshake: the TLS handshake failed or took longer than
	// HandshakeTimeout.
	CloseTLSHandshake CloseReason = "tls_handshake"
)

// Reasons a handler may give with an answer.
const (
	// CloseUnparsable: the message cannot be parsed far enough to be answered.
	CloseUnparsable CloseReason = "unparsable_message"
	// CloseNotAdmitted: the terminal may not use this connection.
	CloseNotAdmitted CloseReason = "not_admitted"
	// CloseByHandler: any other decision of the handler.
	CloseByHandler CloseReason = "handler"
)

// Reasons that lie with this host.
const (
	// CloseDrain: the host shuts down; what was in flight has been answered.
	CloseDrain CloseReason = "drain"
	// CloseCutOff: the host's shutdown ran out of time; requests in flight may be
	// unanswered.
	CloseCutOff CloseReason = "cut_off"
	// ClosePanic: the session itself panicked. A handler's panic does not close.
	ClosePanic CloseReason = "panic"
	// CloseError: any other error of the socket.
	CloseError CloseReason = "error"
)

// Reasons for which a connection is refused before it is a session.
const (
	// RefusedAllowList: the peer's address is not in the listener's allow-list.
	RefusedAllowList CloseReason = "refused_allow_list"
	// RefusedTotal: Options.MaxConnections is reached.
	RefusedTotal CloseReason = "refused_total"
	// RefusedListener: the listener's MaxConnections is reached.
	RefusedListener CloseReason = "refused_listener"
	// RefusedAddress: the listener's MaxConnectionsPerAddress is reached.
	RefusedAddress CloseReason = "refused_address"
	// RefusedDrain: the host shuts down.
	RefusedDrain CloseReason = "refused_drain"
)

// closeReasons and refusalReasons are the closed set.
var (
	closeReasons = []CloseReason{
		ClosePeer, ClosePeerReset, CloseTruncated, CloseIdle, CloseReadTimeout, CloseWriteTimeout, CloseBadFrame, CloseTLSHandshake,
		CloseUnparsable, CloseNotAdmitted, CloseByHandler, CloseDrain, CloseCutOff, ClosePanic, CloseError,
	}
	refusalReasons = []CloseReason{RefusedAllowList, RefusedTotal, RefusedListener, RefusedAddress, RefusedDrain}
)

// handlerReasons are what an answer may say.
var handlerReasons = []CloseReason{CloseUnparsable, CloseNotAdmitted, CloseByHandler}

// fromHandler keeps what handlers say inside the closed set.
func (r CloseReason) fromHandler() CloseReason {
	if slices.Contains(handlerReasons, r) {
		return r
	}
	return CloseByHandler
}

// expected is true for ends that need nobody's attention.
func (r CloseReason) expected() bool {
	return r == ClosePeer || r == CloseIdle || r == CloseDrain
}
