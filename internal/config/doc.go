// Package config reads Meridian's configuration: one set of plain structs, filled from four places.
//
//	default  <  YAML file  <  MERIDIAN_* environment  <  flag
//	   \           |                  |                  /
//	    `---> Config, and for every key the place its value came from
//	                           |
//	               Validate: every problem at once,
//	               each as  place: key: reason
//
// Invariants:
//
//   - Nothing is ignored. A key or variable that is not known is an error that names its file and line (or the
//     variable) and, if one is near, the key that was probably meant.
//   - A problem names the place that has to be changed: meridian.yaml:12, MERIDIAN_LOG_LEVEL, --log-level.
//   - Secrets come from files. Of the values here only the database's URL may hold one, and [DatabaseURL] hides it
//     from every way of printing it; an error never repeats it.
//   - Loading reads the configuration file and database.url_file, each up to a bound. It opens nothing else, so a
//     configuration can be checked on a machine that has no keys; [Loaded.CheckFiles] looks for the others.
//   - A default stands in [Default] or [DefaultListener] with the reason for its number, a range in the struct's tags;
//     nowhere else.
//
// The variable of a key is MERIDIAN_ and the key in capitals with underscores: database.max_connections is
// MERIDIAN_DATABASE_MAX_CONNECTIONS, the second listener's address is MERIDIAN_LISTENERS_1_ADDRESS. Lists are written
// with commas. An empty variable counts as not set, so that compose files can pass variables on.
package config
