package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// demoCrowd is how many people the demo makes up.
const demoCrowd = 3000

// prepareDemo makes up a file where none is given, and keeps results that were not
// asked for out of the way. What it has made is to be removed afterwards.
func (im *importer) prepareDemo(conn *connection) (remove func(), err error) {
	dir, err := os.MkdirTemp("", "clerkorg-demo-*")
	if err != nil {
		return func() {}, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	if im.results == "" {
		im.results = filepath.Join(dir, "results.csv")
	}
	if im.path == "" {
		im.path = filepath.Join(dir, "people.csv")
		im.tell("There is no file: the demo makes one up, with %d people. Some are members already, some rows are bad.", demoCrowd)
		err = writeCrowd(im.path, demoCrowd, conn.server)
	}
	return remove, err
}

// writeCrowd makes up n people, as they are found in the files of this world, and
// lets the server know some of them already.
func writeCrowd(path string, n int, server *clerktest.Server) error {
	var file strings.Builder
	file.WriteString("\xEF\xBB\xBFEmail,Role,Expires_In_Days,public.team,private.seat:json\r\n")
	for i := range n {
		email := fmt.Sprintf("person%d@example.com", i)
		line := fmt.Sprintf("%s,,30,\"Team %c, north\",%d", email, 'A'+rune(i%7), i)
		switch i % 1000 {
		case 100, 400, 700:
			server.AddMember(server.OrganizationID(), email, string(clerkorg.RoleMember))
		case 200, 500, 800:
			server.AddInvitation(server.OrganizationID(), email, string(clerkorg.RoleMember))
		case 150, 250, 350:
			line = fmt.Sprintf("PERSON%d@example.com,,,,", i-120) // twice in the file
		case 450:
			line = fmt.Sprintf("person%d at example.com,,30,,", i)
		case 550:
			line = email + ",,thirty,,"
		case 650:
			line = email + ",\"org:member,30,,"
		case 750:
			line = fmt.Sprintf("person%d@blocked.example,,,,", i) // Clerk refuses it
		case 850:
			line += "\r\n" // a blank line
		}
		file.WriteString(line + "\r\n")
	}
	return os.WriteFile(path, []byte(file.String()), 0o600) //nolint:gosec // a path of ours
}
