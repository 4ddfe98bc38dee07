package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// role is what templates see of a role.
type role struct {
	Name string
	Path string
}

// lineage is where every case is evaluated: the role itself, its parent, the root.
var lineage = []*role{
	{"leaf", "root.middle.leaf"},
	{"middle", "root.middle"},
	{"root", "root"},
}

func up(levels int) *role {
	if levels <= 0 || levels >= len(lineage) {
		return nil
	}
	return lineage[levels]
}

func integerOf(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return number
}

func oneOf(text string, words ...string) bool {
	wanted := strings.ToLower(strings.TrimSpace(text))
	for _, word := range words {
		if word == wanted {
			return true
		}
	}
	return false
}

func truthy(text string) bool { return oneOf(text, "true", "yes", "y", "1", "on", "ok") }

func falsy(text string) bool { return oneOf(text, "", "false", "no", "n", "0", "off", "none") }

func unmarshalled(text string) any {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return nil
	}
	return value
}

func marshalled(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(encoded)
}

func sorted(value any) any {
	items, isList := value.([]any)
	if !isList {
		return value
	}
	texts := make([]string, 0, len(items))
	for _, item := range items {
		texts = append(texts, fmt.Sprintf("%v", item))
	}
	sort.Strings(texts)
	return texts
}

func suffixInRange(text, prefix, least, most string) string {
	from, err := strconv.Atoi(least)
	if err != nil {
		return "false"
	}
	to, err := strconv.Atoi(most)
	if err != nil || prefix == "" || !strings.HasPrefix(text, prefix) {
		return "false"
	}
	number, err := strconv.Atoi(text[len(prefix):])
	return strconv.FormatBool(err == nil && from <= number && number <= to)
}

func override(variables map[string]string) func(string, string) string {
	return func(name, prefix string) string {
		for _, candidate := range []string{prefix + "_" + name, name} {
			if value := variables[candidate]; value != "none" && strings.TrimSpace(value) != "" {
				return value
			}
		}
		return ""
	}
}

func nullable(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func dumped(text, _ string) string { return text }

func identifier() string { return "2oDvieFrVTi" }

func quotesTrimmed(text string) string { return strings.Trim(text, `"`) }

func added(left, right *string) string { return nullable(left) + nullable(right) }

// environment is everything that an expression can name.
func environment(variables map[string]string) map[string]any {
	names := map[string]any{}
	for name, value := range variables {
		names[name] = value
	}
	for name, function := range map[string]any{
		"Parent": func() *role { return up(1) },
		"Up":     up,
		"This":   func() *role { return lineage[0] },
	} {
		names[name] = function
	}
	texts := map[string]any{
		"Atoi":       integerOf,
		"Itoa":       strconv.Itoa,
		"TrimQuotes": quotesTrimmed,
		"TrimSpace":  strings.TrimSpace,
		"ToUpper":    strings.ToUpper,
		"ToLower":    strings.ToLower,
		"IsTruthy":   truthy,
		"IsFalsy":    falsy,
	}
	helpers := map[string]any{
		"PrefixedOverride": override(variables),
		"Dump":             dumped,
		"Nullable":         nullable,
		"SuffixInRange":    suffixInRange,
	}
	for _, functions := range []map[string]any{texts, helpers} {
		for name, function := range functions {
			names[name] = function
		}
	}
	names["FromJson"] = unmarshalled
	names["ToJson"] = marshalled
	names["NewID"] = identifier
	names["strings"] = texts
	names["util"] = helpers
	names["uid"] = map[string]any{"New": identifier}
	names["json"] = map[string]any{
		"Unmarshal":   unmarshalled,
		"Deserialize": unmarshalled,
		"Marshal":     marshalled,
		"Serialize":   marshalled,
		"Sort":        sorted,
	}
	names["odc"] = map[string]any{"GenerateEPNTopologyFullname": func() string { return "" }}
	names["addNil"] = added
	return names
}
