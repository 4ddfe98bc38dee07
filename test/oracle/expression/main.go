// Renders templates with the library that the reference uses, and says what comes out.
//
// Reads one case for each line of standard input, {"template": ..., "variables": {...}}, and writes
// one answer for each: {"text": ...}, or {"error": "scan" | "compile" | "run" | "print"}. With -explain
// the error's text comes along. With -repeat a case is rendered several times, and where the answers
// differ (an order of Go's maps, a clock) the error is "unstable". Only the library decides what an
// expression means; around it are the finding of expressions, the printing of values and the names
// that expressions may use.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr"
)

const (
	opening  = "{{"
	closing  = "}}"
	patience = 20 * time.Second
)

type request struct {
	Template  string            `json:"template"`
	Variables map[string]string `json:"variables"`
}

type answer struct {
	Text    *string `json:"text,omitempty"`
	Error   string  `json:"error,omitempty"`
	Because string  `json:"because,omitempty"`
}

// fault is an error with the stage at which it was found.
type fault struct {
	stage  string
	reason string
}

func render(template string, variables map[string]string) (text string, wrong *fault) {
	defer func() {
		if panicked := recover(); panicked != nil {
			wrong = &fault{"panic", fmt.Sprint(panicked)}
		}
	}()
	var built strings.Builder
	rest := template
	for {
		begin := strings.Index(rest, opening)
		if begin < 0 {
			built.WriteString(rest)
			return built.String(), nil
		}
		built.WriteString(rest[:begin])
		rest = rest[begin+len(opening):]
		end := strings.Index(rest, closing)
		if end < 0 {
			return "", &fault{"scan", "no end of the expression"}
		}
		piece, problem := evaluate(rest[:end], variables)
		if problem != nil {
			return "", problem
		}
		built.WriteString(piece)
		rest = rest[end+len(closing):]
	}
}

func evaluate(text string, variables map[string]string) (string, *fault) {
	names := environment(variables)
	program, err := expr.Compile(text, expr.Env(names), expr.Operator("+", "addNil"))
	if err != nil {
		return "", &fault{"compile", err.Error()}
	}
	value, err := expr.Run(program, names)
	if err != nil {
		return "", &fault{"run", err.Error()}
	}
	return printed(value)
}

func printed(value any) (string, *fault) {
	switch known := value.(type) {
	case string:
		return known, nil
	case bool:
		return strconv.FormatBool(known), nil
	case int:
		return strconv.Itoa(known), nil
	case float64:
		return strconv.FormatFloat(known, 'g', -1, 64), nil
	case []any, []string:
		encoded, err := json.Marshal(known)
		if err != nil {
			return "", &fault{"print", err.Error()}
		}
		return string(encoded), nil
	}
	return fmt.Sprintf("%v", value), nil
}

func answered(line []byte, explain bool) answer {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{Error: "case", Because: err.Error()}
	}
	done := make(chan answer, 1)
	go func() {
		text, wrong := render(asked.Template, asked.Variables)
		switch {
		case wrong == nil:
			done <- answer{Text: &text}
		case explain:
			done <- answer{Error: wrong.stage, Because: wrong.reason}
		default:
			done <- answer{Error: wrong.stage}
		}
	}()
	select {
	case found := <-done:
		return found
	case <-time.After(patience):
		return answer{Error: "time"}
	}
}

// settled is the answer if it is the same every time.
func settled(line []byte, explain bool, repeat int) answer {
	first := answered(line, explain)
	for count := 1; count < repeat; count++ {
		again := answered(line, explain)
		same := first.Error == again.Error && (first.Text == nil) == (again.Text == nil)
		if !same || (first.Text != nil && *first.Text != *again.Text) {
			return answer{Error: "unstable"}
		}
	}
	return first
}

func main() {
	repeat := flag.Int("repeat", 1, "how often each case is rendered")
	explain := flag.Bool("explain", false, "say why")
	flag.Parse()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<26)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	encoder := json.NewEncoder(output)
	encoder.SetEscapeHTML(false)
	for lines.Scan() {
		if err := encoder.Encode(settled(lines.Bytes(), *explain, *repeat)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
