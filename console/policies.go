package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"meridian/switch"
)

// settings of a policy, by name. What the directory does not have of it is read.
func (c *Console) settings(ctx context.Context, name string) ([]setting, error) {
	policy, err := switching.FindPolicy(ctx, c.o.Pool, name)
	if errors.Is(err, switching.ErrNoPolicy) {
		return nil, nil // it was renamed a moment ago
	}
	if err != nil {
		return nil, err
	}
	var list []setting
	for key, value := range policy.Settings {
		list = append(list, setting{key, settingText(value)})
	}
	slices.SortFunc(list, func(a, b setting) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return list, nil
}

func settingText(value any) string {
	switch v := value.(type) {
	case nil:
		return "no limit"
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case json.Number:
		return group(v.String())
	default:
		return fmt.Sprint(v)
	}
}
