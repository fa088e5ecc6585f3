package switching

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"meridian/ledger"
)

// recordShelf keeps what a lane stored or changed last, so that what speaks of it a
// moment later need not read it: a repeat, a reversal, a completion, a void. Nothing rests
// on what is kept: a unit that takes a record from the shelf stores it in any case, and
// only where it still is so.
//
// A record has one place, by its RRN, and whoever comes to it later has it: RRNs go up one
// by one, so that is the oldest record. Places by key and by id tell where a record may be.
// Records lie in few large pieces of memory, which are used again: Go's collector would
// follow each of many small ones, and take the processors from units of work meanwhile. Not
// safe for concurrent use.
type recordShelf struct {
	room        int
	parts       []*[shelfPart]shelvedRecord // each is made when it is first used
	byKey, byID []int32                     // a record's place and 1
}

// shelfPart is how many records one piece of memory holds.
const shelfPart = 1 << 8

// shelvedRecord belongs to the shelf alone: what is handed out is a copy.
type shelvedRecord struct {
	bucket int16
	key    Key
	record Record       // without an id, there is none
	hold   *ledger.Hold // of an authorization
}

// How many records a lane keeps: some kilobyte each, twice that with evidence.
const (
	recordsKept    = 1 << 14
	recordsKeptMin = 1 << 10
	// recordsKeptAll lanes of a host together, if they have enough then.
	recordsKeptAll = 1 << 17
)

// newRecordShelf for one of so many lanes.
func newRecordShelf(lanes int) recordShelf {
	room := recordsKept
	for room > recordsKeptMin && room*lanes > recordsKeptAll {
		room /= 2
	}
	return recordShelf{room, make([]*[shelfPart]shelvedRecord, room/shelfPart), make([]int32, room), make([]int32, room)}
}

// Places are numbers below a power of two.

func (s *recordShelf) placeOfRRN(rrn int64) int { return int(rrn) & (s.room - 1) }

func (s *recordShelf) placeOfKey(k Key) int {
	const odd = 0x9E3779B97F4A7C15 // the golden ratio's, which spreads neighbours
	mixed := (uint64(uint32(k.TerminalID))<<32 | uint64(uint32(k.STAN))<<8 | uint64(k.Class)) + uint64(uint32(k.BatchNo))*odd
	return int(mixed*odd>>40) & (s.room - 1)
}

// placeOfID is out of the id's random part.
func (s *recordShelf) placeOfID(id uuid.UUID) int {
	return int(binary.BigEndian.Uint32(id[12:])) & (s.room - 1)
}

// at a place, nil where there is nothing.
func (s *recordShelf) at(place int) *shelvedRecord {
	if place < 0 || s.parts[place/shelfPart] == nil {
		return nil
	}
	one := &s.parts[place/shelfPart][place%shelfPart]
	if one.record.ID == uuid.Nil {
		return nil
	}
	return one
}

// put keeps a record as it was committed, under its key. The hold belongs to the shelf from
// then on.
func (s *recordShelf) put(bucket int16, key Key, r *Record, hold *ledger.Hold) {
	if r.State == StateUnderReview || r.WindowClosesAt.IsZero() || r.Kind == KindAuthorization && r.State != StateDeclined && hold == nil {
		s.drop(r) // people change it; or not all of it is known
		return
	}
	place := s.placeOfRRN(r.RRN)
	part := &s.parts[place/shelfPart]
	if *part == nil {
		*part = new([shelfPart]shelvedRecord)
	}
	one := &(*part)[place%shelfPart]
	*one = shelvedRecord{bucket, key, *r, hold}
	one.record.Presumed, one.record.read = false, recordState{}
	one.record.AcceptedAt = asStored(r.AcceptedAt)
	if hold != nil {
		hold.ExpiresAt = asStored(hold.ExpiresAt)
	}
	s.byKey[s.placeOfKey(key)], s.byID[s.placeOfID(r.ID)] = int32(place+1), int32(place+1)
}

// asStored is an instant as Postgres keeps it.
func asStored(t time.Time) time.Time { return t.Round(0).Truncate(time.Microsecond) }

// ofRRN is the bucket's record with the RRN, nil if it is not on the shelf.
func (s *recordShelf) ofRRN(bucket int16, rrn int64) *shelvedRecord {
	one := s.at(s.placeOfRRN(rrn))
	if one == nil || one.bucket != bucket || one.record.RRN != rrn {
		return nil
	}
	return one
}

// ofKey is the bucket's record under the key, nil if it is not on the shelf.
func (s *recordShelf) ofKey(bucket int16, key Key) *shelvedRecord {
	one := s.at(int(s.byKey[s.placeOfKey(key)]) - 1)
	if one == nil || one.bucket != bucket || one.key != key {
		return nil
	}
	return one
}

// ofID is the bucket's record with the id, nil if it is not on the shelf.
func (s *recordShelf) ofID(bucket int16, id uuid.UUID) *shelvedRecord {
	one := s.at(int(s.byID[s.placeOfID(id)]) - 1)
	if one == nil || one.bucket != bucket || one.record.ID != id {
		return nil
	}
	return one
}

// drop a record.
func (s *recordShelf) drop(r *Record) {
	if one := s.at(s.placeOfRRN(r.RRN)); one != nil && one.record.ID == r.ID {
		*one = shelvedRecord{}
	}
}

// learn keeps what a unit stored, and what it knew of originals.
func (s *recordShelf) learn(f *Facts) {
	for i := range f.changes.keys {
		change := &f.changes.keys[i]
		r := change.record
		if change.tombstone {
			continue
		}
		if w, known := f.windows[r.CalendarID]; known && w.Date == r.BusinessDate {
			r.WindowClosesAt = w.ClosesAt
		}
		s.put(f.Bucket, change.key, r, f.holds[r.ID])
	}
	if f.unreferred {
		return
	}
	for id, r := range f.records {
		if _, isNew := f.changes.isNew[r]; isNew || r.Asked.Class() != ClassFinancial {
			continue
		}
		hold := f.holds[id]
		if known := s.ofID(f.Bucket, id); hold == nil && known != nil {
			hold = known.hold // the unit only repeated it
		}
		s.put(f.Bucket, r.Key(), r, hold)
	}
	for _, w := range f.changes.withdrawn {
		s.drop(w.record)
	}
}

// forget what a unit took from the shelf.
func (s *recordShelf) forget(f *Facts) {
	for _, r := range f.records {
		s.drop(r)
	}
}
