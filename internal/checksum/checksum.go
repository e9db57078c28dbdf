// Package checksum encodes what the exporter remembers from one start to the next, so that a
// damaged file is recognised.
package checksum

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// ErrDamaged reports that a file is not as Encode has made it.
var ErrDamaged = errors.New("the file is damaged")

const sumKey = "checksum"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns a JSON object with a value under a key, and the CRC-32C of the value's JSON.
func Encode(key string, value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `{%q:%d,%q:%s}`, sumKey, crc32.Checksum(data, castagnoli), key, data), nil
}

// Decode reads the value that Encode has written under the key. Its error is ErrDamaged.
func Decode(key string, file []byte, value any) error {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(file, &parts); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	var want uint32
	if err := json.Unmarshal(parts[sumKey], &want); err != nil {
		return fmt.Errorf("%w: its checksum: %w", ErrDamaged, err)
	}
	if sum := crc32.Checksum(parts[key], castagnoli); sum != want {
		return fmt.Errorf("%w: its checksum is %d, not %d", ErrDamaged, sum, want)
	}
	if err := json.Unmarshal(parts[key], value); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}
