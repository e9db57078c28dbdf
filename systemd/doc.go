// Package systemd asks the service manager of the host about its units over D-Bus: whether it
// starts the main process of a service again after a signal. It restarts the service of a process,
// so that it is active again afterwards. It opens no connection before it is asked.
package systemd
