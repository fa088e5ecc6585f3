package pglocal

import "syscall"

// dieWithParent asks the kernel to send the signal to a child when its parent
// dies, however that happens. "Parent" is the thread that made it: the caller
// keeps its goroutine on one thread until the child has ended.
func dieWithParent(attributes *syscall.SysProcAttr, signal syscall.Signal) {
	attributes.Pdeathsig = signal
}

// lendName lets a program run with the name nobody where the user id has none,
// as in containers started with an arbitrary id: in a user namespace of its own
// it is nobody, and what it writes is ours.
func lendName(attributes *syscall.SysProcAttr, a account) {
	if a.credential != nil {
		return // only root changes accounts, and root's choices have names or are nobody
	}

	attributes.Cloneflags = syscall.CLONE_NEWUSER
	attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: anonymousID, HostID: a.uid, Size: 1}}
	attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: anonymousID, HostID: a.gid, Size: 1}}
}
