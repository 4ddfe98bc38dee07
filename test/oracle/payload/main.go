// Answers payload template cases with the template library of the reference.
//
// One case per line of standard input: {"templates": {path: text}, "path": ..., "variables": {...}}.
// One answer per line of standard output: {"output": ...}, {"error": ...} or {"panic": ...}.
// The procedure around the library (name resolution, functions) follows our own description of the
// reference, see README.md.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"bytes"
	"io"

	"github.com/flosch/pongo2/v6"
)

type question struct {
	Templates map[string]string `json:"templates"`
	Path      string            `json:"path"`
	Variables map[string]string `json:"variables"`
}

type answer struct {
	Output *string `json:"output,omitempty"`
	Error  *string `json:"error,omitempty"`
	Panic  *string `json:"panic,omitempty"`
}

// Payload paths: component, run type, role, entry.
var validPath = regexp.MustCompile(`^[A-Za-z0-9\-_]+/[A-Z0-9\-_]+/[A-Za-z0-9\-_]+/[A-Za-z0-9\-_/]+$`)

type payloads struct {
	base  string
	texts map[string]string
}

func (p *payloads) Abs(_, name string) string {
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, p.base) {
		return name
	}
	return p.base + "/" + name
}

func (p *payloads) Get(path string) (io.Reader, error) {
	text, found := p.texts[path]
	if !found || !validPath.MatchString(strings.TrimSpace(path)) {
		return nil, errors.New("no payload at " + path)
	}
	return bytes.NewReader([]byte(text)), nil
}

func oneOf(text string, words ...string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	for _, word := range words {
		if text == word {
			return true
		}
	}
	return false
}

func unmarshal(text string) interface{} {
	var value interface{}
	if json.Unmarshal([]byte(text), &value) != nil {
		return nil
	}
	return value
}

func marshal(value interface{}) string {
	text, failure := json.Marshal(value)
	if failure != nil {
		return ""
	}
	return string(text)
}

func sorted(value interface{}) interface{} {
	list, isList := value.([]interface{})
	if !isList {
		return value
	}
	texts := []string{}
	for _, item := range list {
		texts = append(texts, fmt.Sprint(item))
	}
	sort.Strings(texts)
	return texts
}

func functions(variables map[string]string) map[string]interface{} {
	useful := func(name string) (string, bool) {
		value, found := variables[name]
		return value, found && value != "none" && strings.TrimSpace(value) != ""
	}
	stringsObject := map[string]interface{}{
		"Atoi": func(text string) int {
			number, failure := strconv.Atoi(text)
			if failure != nil {
				return 0
			}
			return number
		},
		"Itoa":       func(number int) string { return strconv.Itoa(number) },
		"TrimQuotes": func(text string) string { return strings.Trim(text, `"`) },
		"TrimSpace":  func(text string) string { return strings.TrimSpace(text) },
		"ToUpper":    func(text string) string { return strings.ToUpper(text) },
		"ToLower":    func(text string) string { return strings.ToLower(text) },
		"IsTruthy":   func(text string) bool { return oneOf(text, "true", "yes", "y", "1", "on", "ok") },
		"IsFalsy":    func(text string) bool { return oneOf(text, "", "false", "no", "n", "0", "off", "none") },
	}
	utilObject := map[string]interface{}{
		"PrefixedOverride": func(name, prefix string) string {
			if value, fine := useful(prefix + "_" + name); fine {
				return value
			}
			if value, fine := useful(name); fine {
				return value
			}
			return ""
		},
		"Dump": func(text, _ string) string { return text },
		"Nullable": func(text *string) string {
			if text == nil {
				return ""
			}
			return *text
		},
		"SuffixInRange": func(input, prefix, least, most string) string {
			low, lowFault := strconv.Atoi(least)
			high, highFault := strconv.Atoi(most)
			if lowFault != nil || highFault != nil || prefix == "" || !strings.HasPrefix(input, prefix) {
				return "false"
			}
			number, fault := strconv.Atoi(strings.TrimPrefix(input, prefix))
			if fault != nil || number < low || number > high {
				return "false"
			}
			return "true"
		},
	}
	newID := func() string { return "2oDvieFrVTi" }
	context := map[string]interface{}{
		"strings": stringsObject,
		"util":    utilObject,
		"uid":     map[string]interface{}{"New": newID},
		"json": map[string]interface{}{
			"Unmarshal": unmarshal, "Deserialize": unmarshal,
			"Marshal": marshal, "Serialize": marshal, "Sort": sorted,
		},
		"FromJson": unmarshal, "ToJson": marshal, "NewID": newID,
	}
	for name, function := range stringsObject {
		context[name] = function
	}
	for name, function := range utilObject {
		context[name] = function
	}
	return context
}

func ask(q question) (a answer) {
	defer func() {
		if problem := recover(); problem != nil {
			text := fmt.Sprint(problem)
			a = answer{Panic: &text}
		}
	}()
	base := q.Path
	if cut := strings.LastIndex(q.Path, "/"); cut >= 0 {
		base = q.Path[:cut]
	}
	set := pongo2.NewSet("", &payloads{base: base, texts: q.Templates})
	template, failure := set.FromFile(q.Path)
	if failure != nil {
		text := failure.Error()
		return answer{Error: &text}
	}
	context := pongo2.Context{}
	for name, value := range q.Variables {
		context[strings.TrimSpace(name)] = value
	}
	for name, function := range functions(q.Variables) {
		context[name] = function
	}
	output, failure := template.Execute(context)
	if failure != nil {
		text := failure.Error()
		return answer{Error: &text}
	}
	return answer{Output: &output}
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 64*1024*1024)
	output := json.NewEncoder(os.Stdout)
	output.SetEscapeHTML(false)
	for input.Scan() {
		var q question
		if failure := json.Unmarshal(input.Bytes(), &q); failure != nil {
			panic(failure)
		}
		done := make(chan answer, 1)
		go func() { done <- ask(q) }()
		select {
		case a := <-done:
			output.Encode(a)
		case <-time.After(2 * time.Second):
			// What goes on for ever cannot be ended: the caller starts us again.
			text := "no answer"
			output.Encode(answer{Panic: &text})
			return
		}
	}
}
