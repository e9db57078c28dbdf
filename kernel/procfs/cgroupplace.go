package procfs

import (
	"bytes"
	"strings"

	"closewait_exporter/closewait"
)

// place is the first group on a path that belongs to a unit, a container or a machine. What follows
// it is chosen by whoever runs there.
type place struct {
	unit      string
	container []byte
	pod       string
	machine   string   // "lxc:NAME" or "machine:NAME"
	inside    [][]byte // the names that follow; nil below a unit, where they mean nothing
}

// isUserManager reports whether the unit is the service manager of a user. All services, terminals
// and containers of the user are below it, so it is not their unit.
func (p *place) isUserManager() bool { return strings.HasPrefix(p.unit, "user@") }

// isManagerItself reports whether the process is the manager of a user, and not one of the
// processes below it. Older versions of systemd do not use init.scope.
func (p *place) isManagerItself() bool {
	return len(p.inside) == 0 || len(p.inside) == 1 && string(p.inside[0]) == "init.scope"
}

// group is the name of the place; empty if there is none.
func (p *place) group() string {
	if p.machine != "" {
		return p.machine
	}
	named := closewait.Process{Unit: p.unit, Pod: p.pod, Container: string(p.container)}
	return named.Group()
}

// findPlace reads a path downwards. A service is a unit only where nothing but slices is above it:
// systemd delegates services and scopes, and never a slice, so only the host makes groups there.
// Containers can also be below other groups, as in /docker/<id> and /batch/jobs/<id>.
func findPlace(names [][]byte) place {
	var p place
	var parent []byte
	onlySlices := true
	for i, name := range names {
		below := names[i+1:]
		if uid := podUID(name); uid != "" {
			p.pod = uid
		}
		if id, _ := containerID(name, parent); len(id) > 0 {
			p.container, p.inside = id, below
			return p
		}
		if machine, inside := findMachine(name, below, onlySlices); machine != "" {
			return place{machine: machine, inside: inside}
		}
		switch {
		case bytes.HasSuffix(name, []byte(".slice")):
		case bytes.HasSuffix(name, []byte(".service")) && onlySlices:
			return placeOfService(name, below)
		case bytes.HasSuffix(name, []byte(".service")), bytes.HasSuffix(name, []byte(".scope")):
			return p
		case string(name) == "user" && i == 0: // pam_cgfs gives /user/NAME to each user
			return p
		default:
			onlySlices = false
		}
		parent = name
	}
	return p
}

// placeOfService returns the place of a process in a service. Container runtimes keep containers
// below their own service if their cgroup driver is not systemd's.
func placeOfService(name []byte, below [][]byte) place {
	p := place{unit: unitName(name)}
	switch {
	case p.isUserManager():
		p.inside = below
	case isRuntime(name):
		// The first name makes sure that no service below is taken for a unit.
		if in := findPlace(append([][]byte{bytes.TrimSuffix(name, []byte(".service"))}, below...)); in.pod != "" || len(in.container) > 0 {
			return in
		}
	}
	return p
}

// runtimes are the services that keep containers below them, without .service. The ones that end in
// a dash or a dot stand for all that begin so.
var runtimes = []string{
	"docker", "containerd", "crio", "kubelet", "buildkit", "garden", "k3s", "k3s-", "k0scontroller", "k0sworker", "rke2-",
	"snap.docker.", "snap.microk8s.",
}

func isRuntime(service []byte) bool {
	name := string(bytes.TrimSuffix(service, []byte(".service")))
	for _, r := range runtimes {
		open := r[len(r)-1] == '-' || r[len(r)-1] == '.'
		if name == r || open && len(name) > len(r) && name[:len(r)] == r {
			return true
		}
	}
	return false
}

// findMachine returns the group of a machine, a container with a service manager of its own as a
// rule, and the names inside it. Runtimes write
//
//	lxc.payload.<name>, lxc.payload/<name>, lxc/<name>   LXC, LXD, Incus, Proxmox
//	machine-<name>.scope                                 whatever registers with systemd-machined
//	systemd-nspawn@<name>.service/payload                nspawn
func findMachine(name []byte, below [][]byte, onlySlices bool) (group string, inside [][]byte) {
	if lxc, found := bytes.CutPrefix(name, []byte("lxc.payload.")); found {
		return "lxc:" + string(lxc), below
	}
	if (string(name) == "lxc" || string(name) == "lxc.payload") && len(below) > 0 {
		return "lxc:" + string(below[0]), below[1:]
	}
	if !onlySlices {
		return "", nil
	}
	if nspawn, found := cutBoth(name, "systemd-nspawn@", ".service"); found && len(below) > 0 && string(below[0]) == "payload" {
		return "machine:" + string(unescapeDashes(nspawn)), below
	}
	if machine, found := cutBoth(name, "machine-", ".scope"); found {
		return "machine:" + string(withoutDomainID(unescapeDashes(machine))), below
	}
	return "", nil
}

func cutBoth(name []byte, prefix, suffix string) (middle []byte, found bool) {
	middle, found = bytes.CutPrefix(name, []byte(prefix))
	if !found {
		return nil, false
	}
	return bytes.CutSuffix(middle, []byte(suffix))
}

// withoutDomainID removes the number from "<driver>-<number>-<name>", a machine of libvirt: it
// changes at every start.
func withoutDomainID(machine []byte) []byte {
	driver, rest, _ := bytes.Cut(machine, []byte{'-'})
	number, name, found := bytes.Cut(rest, []byte{'-'})
	if (string(driver) == "qemu" || string(driver) == "lxc") && found && isNumber(number) {
		return bytes.Join([][]byte{driver, name}, []byte{'-'})
	}
	return machine
}

// podUID returns the uid of the pod to which a group belongs, with dashes. It is in the names
// "pod<uid>" below kubepods and "kubepods-burstable-pod<uid>.slice", where it has underscores, as a
// dash would mean a level. The uid of a static pod is a hash of 32 digits.
func podUID(name []byte) string {
	name, _, _ = bytes.Cut(name, []byte{':'}) // as in "...-pod<uid>.slice:cri-containerd:<id>"
	name = bytes.TrimSuffix(name, []byte(".slice"))
	if at := bytes.LastIndex(name, []byte("-pod")); at >= 0 {
		name = name[at+1:]
	}
	uid, found := bytes.CutPrefix(name, []byte("pod"))
	dashed := bytes.ReplaceAll(uid, []byte{'_'}, []byte{'-'})
	if !found || !isHex(uid, 32) && !isUUID(dashed, 12) {
		return ""
	}
	return string(dashed)
}
