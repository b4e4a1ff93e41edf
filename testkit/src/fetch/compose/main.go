// Loads a compose file as Docker Compose does, by the specification's own library: interpolation, schema, merges, and what
// services, volumes and conditions name of each other. Prints the project as JSON, or what is wrong with it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	project, err := load(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(project))
}

func load(files []string) ([]byte, error) {
	// Services of every profile; without the caller's environment but for what it is given on purpose.
	options, err := cli.NewProjectOptions(files, cli.WithName("boxbox"), cli.WithOsEnv, cli.WithProfiles([]string{"*"}))
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	return project.MarshalJSON()
}
