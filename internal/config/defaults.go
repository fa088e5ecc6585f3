package config

import "time"

// Default is the configuration of someone who set nothing. It has no database and no listener: those cannot be guessed.
func Default() Config {
	return Config{
		Database: Database{
			// One for each lane, of which there are as many as processors and two at least, and the rest for housekeeping.
			// Postgres allows 100 by default: six hosts of this size share it.
			MaxConnections: 16,
			// Shorter than a terminal's patience, so that a terminal is told within it that the database is away.
			ConnectTimeout: 2 * time.Second,
		},
		// Keys in a program's memory are a decision that somebody has to make.
		SecurityModule: SecurityModuleNone,
		Limits: Limits{
			// At 4 KiB a frame 16 MiB, and less than a second of work: what waits longer is given up by its terminal.
			MaxInFlight: 4096,
			// Under 16 KiB each when idle: 256 MiB, which a small machine has.
			MaxConnections: 16384,
		},
		Admission: Admission{
			// A terminal sends a message every few seconds, and some 50 a second while it uploads a batch over the internet;
			// the burst is a whole batch next door.
			TerminalRate: 200, TerminalBurst: 1000,
			// Two for a settlement, and their repeats. Each holds up the sales of its merchant's bucket for a moment, and anybody
			// can send it in a terminal's name.
			SettlementRate: 2, SettlementBurst: 60,
			// Some thousand terminals behind one carrier's address in their busiest second. A single peer that is taken for
			// that many still leaves most of a small machine to the others.
			AddressRate: 2000, AddressBurst: 4000,
			// A few mistyped terminals are all answered; somebody who tries out numbers is not.
			RefusalRate: 10, RefusalBurst: 100,
			// Rows of the audit log that a machine writes without noticing.
			TotalRefusalRate: 200,
			// Nobody meets them by mistake more than once or twice in a row.
			LockAfter: 10, LockWithin: 10 * time.Minute, LockFor: 15 * time.Minute,
		},
		Switch: Switch{
			// Terminals wait 20 s to 60 s, then reverse. An answer must come before that, over a slow line too.
			ReplyTimeout: 15 * time.Second,
			// A unit of work takes milliseconds. 5 s rides out a checkpoint or a failover, and leaves time for one
			// repeat before ReplyTimeout.
			StoreTimeout: 5 * time.Second,
			// Beyond some 200 requests a larger unit of work gains little and makes each of them wait.
			MaxBatch: 256,
			// Four units of work: as much as a lane does in some 100 ms.
			Queue: 1024,
		},
		Ops: Ops{
			// Metrics name no terminal and no card, yet they are nobody else's business: this machine only.
			Address: "127.0.0.1:9580",
		},
		Log: Log{Level: "info", Format: "auto"},
		Shutdown: Shutdown{
			// Kubernetes kills after 30 s; what is in flight is answered or given up well within ReplyTimeout.
			DrainTimeout: 25 * time.Second,
		},
	}
}

// DefaultListener is what a listener has before its own keys are read.
func DefaultListener() Listener {
	return Listener{
		Length: LengthBinary,
		// UnionPay's own centre, and an institution that nobody is.
		Profile: "cup", AcquirerID: "00000000",
		// The largest message in use is under 1 KiB; 4 KiB is generous, and small enough that a stranger's length
		// costs nothing.
		MaxFrameBytes: 4096,
		TLS: TLS{
			// Older versions are forbidden by PCI DSS; terminals in the field often lack 1.3.
			MinVersion: "1.2",
		},
		// Carriers' address translation and concentrators put thousands of terminals behind one address. A quarter of
		// limits.max_connections, so that no single address can take them all.
		MaxConnectionsPerAddress: 4096,
		// Keeps a concentrator that pipelines busy over a 100 ms line; a terminal has one.
		MaxInFlight: 64,
		// A frame is one packet or two; a bad mobile line needs seconds for them, never more.
		ReadTimeout:  10 * time.Second,
		WriteTimeout: 10 * time.Second,
		// Longer than the echo interval of terminals that hold their line.
		IdleTimeout: 10 * time.Minute,
		// A slow terminal's RSA operation, over a slow line.
		HandshakeTimeout: 10 * time.Second,
		// The terminal ends its reversal loop, and the host has kept the reversal: nothing is left to repeat.
		UnknownReversal: UnknownReversalApprove,
	}
}
