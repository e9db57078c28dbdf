package policy

import (
	"path"
	"regexp"
	"slices"

	"closewait_exporter/closewait"
	"closewait_exporter/reaper/rules"
)

// neverExe matches the programs that a host cannot do without. It is compared with the name of the
// program file, because a process can choose its own name.
var neverExe = regexp.MustCompile(`^(?:` +
	`init|systemd|systemd-.*|\(sd-.*|upstart|runit|runsvdir|openrc-init|` +
	`sshd|sshd-.*|dropbear|dbus-daemon|dbus-broker|dbus-broker-launch|udevd|` +
	`containerd|containerd-shim.*|dockerd|docker-init|docker-proxy|podman|conmon|crio|runc|crun|tini|catatonit|` +
	`kubelet|k3s|k3s-.*|k0s|rke2|microk8s.*` +
	`)$`)

// neverUnit matches the units of the same programs. It is only compared with units of the host:
// otherwise a user could protect a process by the name of its own unit.
var neverUnit = regexp.MustCompile(`^(?:` +
	`init\.scope|systemd-.*\.service|sshd?(?:@.*)?\.service|dropbear(?:@.*)?\.service|dbus(?:-.*)?\.service|udev\.service|` +
	`containerd\.service|docker\.service|podman(?:@.*)?\.service|crio\.service|kubelet\.service|k3s(?:-.*)?\.service` +
	`)$`)

// protection returns why no rule may ever act on a process; empty if a rule may.
func (p *Policy) protection(process *closewait.Process) string {
	switch {
	case process.ID.PID == 1:
		return "it is process 1"
	case slices.Contains(p.own, process.ID):
		return "it is this exporter, or one of its ancestors"
	case process.Exe == "":
		return "its program could not be read, so it may be on the never-list; kernel threads have none"
	case process.GroupUnknown:
		return "its control group could not be read, so its unit may be on the never-list"
	case neverExe.MatchString(path.Base(process.Exe)):
		return "its program is on the built-in never-list: " + process.Exe
	case neverUnit.MatchString(process.Unit):
		return "its unit is on the built-in never-list: " + process.Unit
	case matchesAny(p.config.Protect.Exe, process.Exe):
		return "protect.exe matches its program: " + process.Exe
	case slices.ContainsFunc(p.config.Protect.Unit, func(e *regexp.Regexp) bool { return rules.FitsUnit(e, process) }):
		return "protect.unit matches its unit: " + process.Group()
	case len(p.config.Protect.User) > 0 && process.User == "":
		return "its user could not be read, so protect.user may match it"
	case slices.ContainsFunc(p.config.Protect.User, func(e *regexp.Regexp) bool { return rules.FitsUser(e, process) }):
		return "protect.user matches its user: " + process.User
	case slices.ContainsFunc(p.config.Protect.Group, func(e *regexp.Regexp) bool { return rules.FitsGroup(e, process) }):
		return "protect.group matches its group: " + process.Group()
	}
	return ""
}

// ProtectsUnit returns why no rule may ever act on a unit of the host; empty if a rule may.
func (p *Policy) ProtectsUnit(name string) string {
	unit := &closewait.Process{Unit: name}
	switch {
	case neverUnit.MatchString(name):
		return "it is on the built-in never-list"
	case slices.ContainsFunc(p.config.Protect.Unit, func(e *regexp.Regexp) bool { return rules.FitsUnit(e, unit) }):
		return "protect.unit matches it"
	case slices.ContainsFunc(p.config.Protect.Group, func(e *regexp.Regexp) bool { return rules.FitsGroup(e, unit) }):
		return "protect.group matches it"
	}
	return ""
}

func matchesAny(expressions []*regexp.Regexp, text string) bool {
	return text != "" && slices.ContainsFunc(expressions, func(e *regexp.Regexp) bool { return e.MatchString(text) })
}
