package vault

// Opaque holds a value where fmt cannot print it: a key's schedule, subkeys. A
// value in an unexported field, or under a verb that does not fit, is printed by
// its fields without its methods being asked; pointers to structs, arrays, slices
// and maps are followed there, but a pointer to a pointer is printed as an address.
type Opaque[T any] struct {
	pointer **T
}

// Conceal makes a value opaque.
func Conceal[T any](value T) Opaque[T] {
	pointer := &value
	return Opaque[T]{&pointer}
}

// Value returns where the value is, nil for the zero Opaque.
func (o Opaque[T]) Value() *T {
	if o.pointer == nil {
		return nil
	}
	return *o.pointer
}
