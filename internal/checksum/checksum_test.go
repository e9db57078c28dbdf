package checksum

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

func TestEachChangedByteIsNoticed(t *testing.T) {
	type content struct{ Names []string }
	file, err := Encode("state", content{[]string{"web", "db"}})
	if err != nil {
		t.Fatal(err)
	}
	var got content
	if err := Decode("state", file, &got); err != nil || len(got.Names) != 2 {
		t.Errorf("%v, error %v", got, err)
	}
	if !json.Valid(file) {
		t.Errorf("%s is no JSON", file)
	}
	for i := range file {
		damaged := bytes.Clone(file)
		damaged[i] ^= 1
		if err := Decode("state", damaged, &content{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: error %v", damaged, err)
		}
	}
	for _, other := range []string{"", "{}", "null", "[]", `{"checksum":0}`, `{"checksum":0,"state":null}`} {
		if err := Decode("state", []byte(other), &content{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: error %v", other, err)
		}
	}
}
