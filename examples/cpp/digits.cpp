#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>
#include <openvino/openvino.hpp>
#include <vector>

int main(int, char** arguments) {
  std::ifstream file(arguments[2], std::ios::binary);
  std::vector<char> images((std::istreambuf_iterator<char>(file.ignore(16))), {});  // 0 is paper, 255 is ink
  ov::Core core;
  // Left to itself, OpenVINO computes in bfloat16 where the CPU can, and some answers differ.
  auto precision = ov::hint::inference_precision(ov::element::f32);
  auto request = core.compile_model(arguments[1], "CPU", precision).create_infer_request();
  request.set_input_tensor(ov::Tensor(ov::element::u8, {images.size() / 784, 1, 28, 28}, images.data()));
  request.infer();
  ov::Tensor answers = request.get_tensor("log_probabilities");
  for (size_t image = 0; image < answers.get_shape()[0]; ++image) {
    const float* row = answers.data<float>() + 10 * image;
    const float* best = std::max_element(row, row + 10);
    std::cout << best - row << " " << std::exp(*best) << "\n";
  }
}
