import json
import pathlib

length = len(pathlib.Path("model.txt").read_text())
pathlib.Path("metrics.json").write_text(json.dumps({"length": length, "test": {"loss": 0.5}}))
pathlib.Path("curve.csv").write_text("step,loss\n1,2.0\n2,0.5\n")
pathlib.Path("curve.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
