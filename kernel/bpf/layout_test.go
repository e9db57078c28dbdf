package bpf

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

func TestTheObjectFileHasTheLayoutsThatAreDecoded(t *testing.T) {
	spec, err := loadObject()
	if err != nil {
		t.Fatal(err)
	}
	if err := checkLayouts(spec.Types); err != nil {
		t.Error(err)
	}
}

func TestOtherLayoutsAreRefused(t *testing.T) {
	type ours struct {
		A uint64
		B uint32
		C uint32
	}
	member := func(name string, offset btf.Bits) btf.Member { return btf.Member{Name: name, Offset: offset} }
	for _, c := range []struct {
		name   string
		theirs btf.Struct
		says   string // empty: the layouts are the same
	}{
		{"the same", btf.Struct{Size: 16, Members: []btf.Member{member("a", 0), member("b", 64), member("c", 96)}}, ""},
		{"another size", btf.Struct{Size: 24, Members: []btf.Member{member("a", 0), member("b", 64), member("c", 96)}}, "24 bytes in C, 16 in Go"},
		{"a field less", btf.Struct{Size: 16, Members: []btf.Member{member("a", 0), member("b", 64)}}, "2 fields in C, 3 in Go"},
		{"a field elsewhere", btf.Struct{Size: 16, Members: []btf.Member{member("b", 0), member("a", 32), member("c", 96)}}, "a is at byte 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := checkLayout(&c.theirs, reflect.TypeFor[ours]())
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %q", err, c.says)
			}
		})
	}
	t.Run("bytes that belong to no field", func(t *testing.T) {
		type padded struct {
			A uint64
			B uint32
		}
		theirs := btf.Struct{Size: 16, Members: []btf.Member{member("a", 0), member("b", 64)}}
		if err := checkLayout(&theirs, reflect.TypeFor[padded]()); err == nil || !strings.Contains(err.Error(), "last 4 bytes") {
			t.Errorf("error %v", err)
		}
	})
}
