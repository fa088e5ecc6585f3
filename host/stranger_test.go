package host

import "testing"

// A terminal that becomes known while its message is on its way is not let in by
// it: nobody has verified that message.
func TestStrangerStaysOne(t *testing.T) {
	r := newPipelineRig(t)
	known := r.sw.terminals[sealedTID]
	delete(r.sw.terminals, sealedTID)
	r.handle("nac", r.pack("nac", sale("0200", sealedTID, nil), nil))
	r.sw.terminals[sealedTID] = known
	r.handle("nac", r.pack("nac", sale("0200", sealedTID, nil), r.mac))
	if len(r.sw.submitted) != 2 || !r.sw.submitted[0].Credentials.Stranger || r.sw.submitted[1].Credentials.Stranger {
		t.Errorf("submitted %+v", r.sw.submitted)
	}
}
