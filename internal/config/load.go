package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
)

const (
	// maxFileBytes bounds the configuration file: 64 listeners with long lists are under 100 KiB.
	maxFileBytes = 1 << 20
	// maxSecretBytes bounds database.url_file.
	maxSecretBytes = 8 << 10
)

// FileVariable names the configuration file where no flag does.
const FileVariable = "MERIDIAN_CONFIG"

// Flag is a command line's value for a key.
type Flag struct {
	Name  string // as the user writes it, such as --database-url
	Key   string // such as database.url
	Value string
}

// Options say where to read from.
type Options struct {
	// File is the configuration file's path; empty takes FileVariable from Environ, and without that reads none.
	File string
	// Environ is the environment as os.Environ returns it.
	Environ []string
	// Flags are those that the user gave.
	Flags []Flag
}

// Loaded is a configuration that was read and found right, and where its values came from.
type Loaded struct {
	Config Config
	// File is the configuration file that was read, or empty.
	File string

	origins origins
}

// loader collects what the places say, the weakest first.
type loader struct {
	config   Config
	file     string
	origins  origins
	problems []Problem
}

// Load reads the configuration and checks it. An [*Error] tells everything that is wrong with it.
func Load(options Options) (*Loaded, error) {
	l := &loader{config: Default(), file: options.File, origins: origins{}}
	if l.file == "" {
		l.file = lookup(options.Environ, FileVariable)
	}
	if l.file != "" {
		l.readFile()
	}
	l.readEnvironment(options.Environ)
	for _, flag := range options.Flags {
		l.apply(Origin{Source: SourceFlag, Name: flag.Name}, flag.Key, flag.Value)
	}
	l.readDatabaseURL()

	loaded := &Loaded{Config: l.config, File: l.file, origins: l.origins}
	problems := l.config.checkFields()
	if len(l.problems) == 0 {
		// What hangs together is looked at once every key was understood: one with a typing error is not missing as well.
		problems = append(problems, l.config.checkRelations()...)
	}
	if err := asError(append(l.problems, loaded.locate(problems)...)); err != nil {
		return nil, err
	}
	return loaded, nil
}

func (l *loader) problemf(origin Origin, key, format string, arguments ...any) {
	l.problems = append(l.problems, Problem{Origin: origin, Key: key, Reason: fmt.Sprintf(format, arguments...)})
}

// readFile reads the configuration file, if it can be read.
func (l *loader) readFile() {
	origin := Origin{Source: SourceFile, Name: l.file}
	content, err := readBounded(l.file, maxFileBytes)
	if err != nil {
		l.problemf(origin, "", "%s", err)
		return
	}
	l.readYAML(content)
}

// apply sets one key from the environment or a flag.
func (l *loader) apply(origin Origin, key, text string) {
	f, err := l.lookup(key)
	if err == nil {
		err = f.set(text)
	}
	if err != nil {
		l.problemf(origin, key, "%s", err)
		return
	}
	l.origins[key] = origin
}

// lookup finds the field of a full key. An item one past a list's end is added to it.
func (l *loader) lookup(key string) (field, error) {
	at := field{kind: kindSection, value: reflect.ValueOf(&l.config).Elem()}
	for part := range strings.SplitSeq(key, ".") {
		name, index, isItem := cutIndex(part)
		if at.kind != kindSection {
			return field{}, errors.New("unknown key")
		}
		next, ok := find(fieldsOf(at.value), name)
		if !ok || isItem && next.kind != kindListeners {
			return field{}, errors.New("unknown key")
		}
		if isItem {
			count := next.value.Len()
			switch {
			case index >= maxListeners:
				return field{}, fmt.Errorf("at most %d listeners", maxListeners)
			case index > count:
				return field{}, fmt.Errorf("there are %d listeners before this one: number them from 0 without a gap", count)
			case index == count:
				next.value.Set(reflect.Append(next.value, reflect.ValueOf(DefaultListener())))
			}
			next = field{kind: kindSection, value: next.value.Index(index)}
		}
		at = next
	}
	return at, nil
}

// cutIndex splits listeners[2] into its name and index.
func cutIndex(part string) (name string, index int, isItem bool) {
	name, rest, isItem := strings.Cut(part, "[")
	if !isItem {
		return part, 0, false
	}
	if _, err := fmt.Sscanf(rest, "%d]", &index); err != nil || index < 0 {
		return part, 0, false
	}
	return name, index, true
}

// readDatabaseURL puts the content of database.url_file where the URL belongs. Where both are given, the stronger place
// counts; in one place they contradict each other.
func (l *loader) readDatabaseURL() {
	const urlKey, fileKey = "database.url", "database.url_file"
	database := &l.config.Database
	if database.URLFile == "" {
		return
	}
	origin := l.origins.of(fileKey)
	if database.URL != "" {
		urlOrigin := l.origins.of(urlKey)
		switch {
		case urlOrigin.Source > origin.Source:
			database.URLFile = ""
			delete(l.origins, fileKey)
			return
		case urlOrigin.Source == origin.Source:
			l.problemf(origin, fileKey, "%s is given too (%s): keep one of them", urlKey, urlOrigin)
			return
		}
	}
	content, err := readSecret(database.URLFile)
	text := strings.TrimSpace(string(content))
	if err == nil && text == "" {
		err = errors.New("the file is empty")
	}
	if err == nil {
		err = checkText(text)
	}
	if err != nil {
		l.problemf(origin, fileKey, "%s: %s", database.URLFile, err)
		return
	}
	database.URL = DatabaseURL(text)
	l.origins[urlKey] = Origin{Source: origin.Source, Name: database.URLFile}
}

// secretMode is the widest mode of a file with a password, the same as of a master key's (internal/vault): its owner reads and
// writes it, its group reads it, as container platforms mount secrets.
const secretMode fs.FileMode = 0o640

// readSecret reads a file that others of the machine may not. A pipe, which a shell makes of a command, is its own protection.
func readSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", withoutPath(err))
	}
	if mode := info.Mode().Perm(); info.Mode().IsRegular() && mode&^secretMode != 0 {
		return nil, fmt.Errorf("its mode %04o is wider than %04o: chmod 600 it", mode, secretMode)
	}
	return readBounded(path, maxSecretBytes)
}

// readBounded reads a file of at most a number of bytes. Its errors leave out the path, which stands before them.
func readBounded(path string, maxBytes int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", withoutPath(err))
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", withoutPath(err))
	}
	if int64(len(content)) > maxBytes {
		return nil, fmt.Errorf("is larger than %d bytes", maxBytes)
	}
	return content, nil
}

func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// locate adds the place to each problem of the whole configuration.
func (l *Loaded) locate(problems []Problem) []Problem {
	for i := range problems {
		problems[i].Origin = l.origins.of(problems[i].Key)
		if problems[i].Origin.Source == SourceDefault && l.File != "" {
			problems[i].Origin = Origin{Source: SourceFile, Name: l.File} // the place where it is missing
		}
	}
	return problems
}
