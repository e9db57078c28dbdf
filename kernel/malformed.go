package kernel

import "errors"

// errMalformed is wrapped by the error of every parser whose input is not what the kernel writes:
// cut short, or of a layout that is not known here. The item is to be skipped and counted.
var ErrMalformed = errors.New("malformed")
