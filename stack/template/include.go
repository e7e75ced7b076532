package template

// Include replaces every {"Fn::Transform": {"Name": "AWS::Include", …}} of a tree by the file that it names. open
// answers with the file's text; the included values carry that file's positions. Where the call stands among other keys
// of a map, the file's keys join them. Included files may not include.
func Include(root *Value, open func(location string) ([]byte, error)) (*Value, error) {
	in := &includer{open: open}
	out := in.value(root)
	return out, in.problems.Err()
}

type includer struct {
	open     func(location string) ([]byte, error)
	files    int
	problems Problems
}

const includesMax = 50 // files that one template may include

func (in *includer) value(v *Value) *Value {
	switch v.Kind {
	case List:
		out := *v
		out.Items = make([]*Value, len(v.Items))
		for i, it := range v.Items {
			out.Items[i] = in.value(it)
		}
		return &out
	case Map:
		return in.mapping(v)
	}
	return v
}

func (in *includer) mapping(v *Value) *Value {
	out := &Value{Kind: Map, Pos: v.Pos, Fields: make([]Field, 0, len(v.Fields))}
	for _, f := range v.Fields {
		call := f.Value
		if name, _ := call.Get("Name").IsString(); f.Key != "Fn::Transform" || name != "AWS::Include" {
			f.Value = in.value(f.Value)
			out.Fields = append(out.Fields, f)
			continue
		}
		file := in.file(call)
		if file == nil {
			continue
		}
		if len(v.Fields) == 1 {
			return file
		}
		if file.Kind != Map {
			in.wrong(f.Pos, "AWS::Include among other keys wants a file that holds a map, not a "+file.Kind.String())
			continue
		}
		for _, inc := range file.Fields {
			if v.Get(inc.Key) == nil {
				out.Fields = append(out.Fields, inc)
			}
		}
	}
	return out
}

func (in *includer) wrong(p Pos, text string) {
	in.problems = append(in.problems, Problem{Pos: p, Text: text})
}

func (in *includer) file(call *Value) *Value {
	location := call.Path("Parameters", "Location")
	name, ok := location.IsString()
	if !ok {
		in.wrong(call.Pos, "AWS::Include wants Parameters: {Location: path}; the location must be a plain string")
		return nil
	}
	if in.files++; in.files > includesMax {
		in.wrong(call.Pos, "the template includes more than 50 files")
		return nil
	}
	text, err := in.open(name)
	if err != nil {
		in.wrong(location.Pos, "AWS::Include: "+err.Error())
		return nil
	}
	v, err := Read(name, text)
	if err != nil {
		in.wrong(location.Pos, err.Error())
		return nil
	}
	return v
}
