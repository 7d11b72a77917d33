#pragma once

#include "beit3/model/config.h"

namespace tessera::beit3 {

/// Two layers, pictures of 2 x 2 patches; in the paper's form the upper layer has the expert VL.
inline ModelConfig tiny_model(Form form) {
  ModelConfig c = model_preset("nano");
  c.form = form;
  c.vl_layers = 1;
  c.width = 32;
  c.layers = 2;
  c.heads = 4;
  c.ffn = 64;
  c.image_size = 16;
  c.patch = 8;
  c.text_rows = 20;
  c.codes = 12;
  c.text_positions = 16;
  return c;
}

}  // namespace tessera::beit3
