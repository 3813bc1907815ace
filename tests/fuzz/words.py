"""Words to put into inputs: what a format takes for a sign, and numbers at the edges."""

YAML = (
    *(b"&a ", b"*a", b"*a, *a", b"<<: ", b"? ", b"- ", b": ", b"[", b"]", b"{", b"}", b"[[[[[[[[", b"| \n"),
    *(
        b"!!",
        b"!!int ",
        b"!!binary ",
        b"!!python/object:",
        b"!!timestamp ",
        b"!!set ",
        b"2001-13-41",
        b"---\n",
    ),
    *(b".inf", b".nan", b"~", b"null", b"true", b"1e999", b"0x", b"0o", b"1_0", b"-1", b"9" * 25, b"...\n"),
    *(b"'", b'"', b"\\", b"\t", b"\n  ", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"%YAML 9.9\n", b"#", b".."),
)
JSON = (b'"', b"{", b"}", b"[", b"]", b"null", b"NaN", b"1e999", b"-1", b"[[[[[[[[", b"9" * 9, b'"F64"')
NONE = (b"\0", b"\xff" * 4)
ONNX = (b"If", b"Loop", b"Dropout", b"location", b"/etc/passwd", b"\x70\x01", b"batch", b"image")
SWEEP = (*YAML, b"points: 3", b"search: random", b"low: 1")
IMAGE = (
    *(
        b"IHDR",
        b"PLTE",
        b"tRNS",
        b"iCCP",
        b"zTXt",
        b"iTXt",
        b"eXIf",
        b"IDAT",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"IEND",
    ),
    *(
        b"Exif\0\0",
        b"MM\0*",
        b"II*\0",
        b"\x01\x12",
        b"MPF\0",
        b"Adobe",
        b"ICC_PROFILE\0",
        b"\xff\xe1",
        b"\xff\xe2",
    ),
    *(b"\xff\xda", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xdb", b"\xff\xdd", b"\xff\xd9"),
)
ARCHIVE = (
    b"ustar\000",
    b"ustar  \0",
    b"input.gz",
    b"\x80",
    b"\xff" * 12,
    b"77777777777\0",
    b"x",
    b"L",
    b"S",
    b"5",
)
