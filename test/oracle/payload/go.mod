module aliecs.test/oracle/payload

go 1.24

require github.com/flosch/pongo2/v6 v6.0.0
