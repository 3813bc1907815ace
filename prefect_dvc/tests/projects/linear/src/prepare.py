import pathlib
import sys

folder = pathlib.Path("data/prepared")
folder.mkdir(exist_ok=True)
text = pathlib.Path(sys.argv[1]).read_text()
(folder / "text").write_text(text.upper())
print(f"{len(text)} characters")
