package reaper

import (
	"path"
	"regexp"
	"slices"

	"closewait_exporter/closewait"
)

// neverExe has the names of programs without which a host cannot be worked on, or falls apart. The
// name is that of the file: a process can call itself anything.
var neverExe = regexp.MustCompile(`^(?:` +
	`init|systemd|systemd-.*|\(sd-.*|upstart|runit|runsvdir|openrc-init|` +
	`sshd|sshd-.*|dropbear|dbus-daemon|dbus-broker|dbus-broker-launch|udevd|` +
	`containerd|containerd-shim.*|dockerd|docker-init|docker-proxy|podman|conmon|crio|runc|crun|tini|catatonit|` +
	`kubelet|k3s|k3s-.*|k0s|rke2|microk8s.*` +
	`)$`)

// neverUnit has the units of the same programs.
var neverUnit = regexp.MustCompile(`^(?:` +
	`init\.scope|systemd-.*\.service|sshd?(?:@.*)?\.service|dropbear(?:@.*)?\.service|dbus(?:-.*)?\.service|udev\.service|` +
	`containerd\.service|docker\.service|podman(?:@.*)?\.service|crio\.service|kubelet\.service|k3s(?:-.*)?\.service` +
	`)$`)

// protection says why nothing must ever be done to a process, whatever rules say; empty where
// something may be.
func (p *Policy) protection(process *closewait.Process) string {
	switch {
	case process.ID.PID == 1:
		return "it is process 1"
	case slices.Contains(p.own, process.ID):
		return "it is this exporter, or one of its ancestors"
	case process.Exe == "":
		return "its program could not be read, so nobody knows whether it is on the never-list; kernel threads have none"
	case process.GroupUnknown:
		return "its control group could not be read, so nobody knows whether its unit is on the never-list"
	case neverExe.MatchString(path.Base(process.Exe)):
		return "the built-in never-list has its program, " + process.Exe
	case neverUnit.MatchString(process.Unit):
		return "the built-in never-list has its unit, " + process.Unit
	case matchesAny(p.config.Protect.Exe, process.Exe):
		return "protect.exe has its program, " + process.Exe
	case matchesAny(p.config.Protect.Unit, process.Unit):
		return "protect.unit has its unit, " + process.Unit
	}
	return ""
}

func matchesAny(expressions []*regexp.Regexp, text string) bool {
	return text != "" && slices.ContainsFunc(expressions, func(e *regexp.Regexp) bool { return e.MatchString(text) })
}
