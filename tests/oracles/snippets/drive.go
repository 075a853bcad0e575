// Asks the snippets for Go about each case: `drive CASES`, an answer a line. Called by run.py, which lays the snippets
// beside it as the package webhooks.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"snippets/webhooks"
)

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var cases []struct {
		Scheme, Prefix, Header, Secret string
		Headers                        map[string]string
		Body                           []byte
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		panic(err)
	}
	for _, one := range cases {
		headers := http.Header{}
		for name, value := range one.Headers {
			headers.Set(name, value)
		}
		given := headers.Get(one.Header)
		switch one.Scheme {
		case "standard":
			fmt.Println(webhooks.VerifyStandard(one.Secret, headers, one.Body, one.Prefix))
		case "body":
			fmt.Println(webhooks.VerifyBody(one.Secret, given, one.Body, one.Prefix))
		case "header":
			fmt.Println(webhooks.VerifyHeader(one.Secret, given))
		}
	}
}
