package bpf

import (
	"fmt"
	"reflect"

	"github.com/cilium/ebpf/btf"
)

// checkLayouts compares the layout of the records in the object file, as described by its compiler,
// with the layout that decode assumes.
func checkLayouts(types *btf.Spec) error {
	return compareLayouts(types, map[string]reflect.Type{
		"record":   reflect.TypeFor[objectRecord](),
		"process":  reflect.TypeFor[objectProcess](),
		"fd_count": reflect.TypeFor[objectFdCount](),
	})
}

// checkTracedLayout does the same for the records of a Tracer.
func checkTracedLayout(types *btf.Spec) error {
	return compareLayouts(types, map[string]reflect.Type{
		"record": reflect.TypeFor[objectRecord](),
		"birth":  reflect.TypeFor[stacksBirth](),
		"traced": reflect.TypeFor[stacksTraced](),
	})
}

func compareLayouts(types *btf.Spec, layouts map[string]reflect.Type) error {
	for name, ours := range layouts {
		var theirs *btf.Struct
		if err := types.TypeByName(name, &theirs); err != nil {
			return fmt.Errorf("BPF object file: %w: make generate", err)
		}
		if err := checkLayout(theirs, ours); err != nil {
			return fmt.Errorf("BPF object file: struct %s: %w: make generate", name, err)
		}
	}
	return nil
}

// checkLayout checks that every byte belongs to a field, and to the same field on both sides.
func checkLayout(theirs *btf.Struct, ours reflect.Type) error {
	if uintptr(theirs.Size) != ours.Size() {
		return fmt.Errorf("%d bytes in C, %d in Go", theirs.Size, ours.Size())
	}
	fields := make([]reflect.StructField, 0, ours.NumField())
	for field := range ours.Fields() {
		if field.Type.Size() > 0 { // not structs.HostLayout
			fields = append(fields, field)
		}
	}
	if len(theirs.Members) != len(fields) {
		return fmt.Errorf("%d fields in C, %d in Go", len(theirs.Members), len(fields))
	}
	var end uintptr
	for i, member := range theirs.Members {
		field := fields[i]
		if uintptr(member.Offset.Bytes()) != field.Offset || field.Offset != end {
			return fmt.Errorf("%s is at byte %d in C and %s at byte %d in Go, after %d bytes",
				member.Name, member.Offset.Bytes(), field.Name, field.Offset, end)
		}
		end += field.Type.Size()
	}
	if end != ours.Size() {
		return fmt.Errorf("the last %d bytes belong to no field", ours.Size()-end)
	}
	return nil
}
