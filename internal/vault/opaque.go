package vault

// opaque holds a value where fmt cannot print it. A value in an unexported
// field, or under a verb that does not fit, is printed by its fields without
// its methods being asked; pointers to structs, arrays, slices and maps are
// followed there, but a pointer to a pointer is printed as an address.
type opaque[T any] struct {
	pointer **T
}

func conceal[T any](value T) opaque[T] {
	pointer := &value
	return opaque[T]{&pointer}
}

// value returns nil for the zero opaque.
func (o opaque[T]) value() *T {
	if o.pointer == nil {
		return nil
	}
	return *o.pointer
}
