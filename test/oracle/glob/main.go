// Matches texts with patterns, by the library that the reference uses.
//
// Reads one case for each line of standard input, {"pattern": ..., "separator": ..., "texts": [...]},
// and writes one answer for each: {"fits": [...]}, a boolean for each text, or {"error": true}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/gobwas/glob"
)

type request struct {
	Pattern   string   `json:"pattern"`
	Separator string   `json:"separator"`
	Texts     []string `json:"texts"`
}

type answer struct {
	Fits   []bool `json:"fits,omitempty"`
	Error  bool   `json:"error,omitempty"`
	Panics bool   `json:"panics,omitempty"`
}

func answered(line []byte) (found answer) {
	defer func() {
		if recover() != nil {
			found = answer{Panics: true}
		}
	}()
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		panic(err)
	}
	compiled, err := glob.Compile(asked.Pattern, []rune(asked.Separator)...)
	if err != nil {
		return answer{Error: true}
	}
	for _, text := range asked.Texts {
		found.Fits = append(found.Fits, compiled.Match(text))
	}
	return found
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<26)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	encoder := json.NewEncoder(output)
	for lines.Scan() {
		if err := encoder.Encode(answered(lines.Bytes())); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
