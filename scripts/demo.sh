#!/bin/sh
# From nothing to a small BEiT-3 that reads colours off pictures it has never seen.
#
# usage: scripts/demo.sh [--long] [--seed N] [--out DIR]
#
#   --long     pretrains for at most 30 minutes, until words that need more than one patch (sizes,
#              places, counts, relations, shapes) are read off the picture; in DIR/long
#   --seed N   decides the model's start and every draw of the training (0)
#   --out DIR  where everything goes (demo)
set -eu
cd "$(dirname "$0")/.."

long=no
seed=0
out=demo
while [ $# -gt 0 ]; do
  case "$1" in
    --long) long=yes ;;
    --seed)
      [ $# -gt 1 ] || { echo "scripts/demo.sh: --seed needs a number" >&2; exit 2; }
      seed=$2
      shift
      ;;
    --out)
      [ $# -gt 1 ] || { echo "scripts/demo.sh: --out needs a folder" >&2; exit 2; }
      out=$2
      shift
      ;;
    -h | --help)
      sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p}' "$0"
      exit 0
      ;;
    *)
      echo "scripts/demo.sh: \"$1\" is no flag; see scripts/demo.sh --help" >&2
      exit 2
      ;;
  esac
  shift
done
case "$seed" in
  '' | *[!0-9]*) echo "scripts/demo.sh: --seed \"$seed\" is no whole number" >&2; exit 2 ;;
esac

times=""
begin=$(date +%s)
# Says what comes next, and remembers how long the last part took.
part() {
  now=$(date +%s)
  [ -z "${title:-}" ] || times="$times$(printf '  %-34s %4d s' "$title" $((now - part_begin)))
"
  title=$1
  part_begin=$now
  [ -z "$title" ] || printf '\n== %s\n' "$title"
}

part "packages"
scripts/deps.sh
part "build"
TESSERA_TARGETS=beit3 scripts/build.sh
beit3=build/release/bin/beit3
# In the long one's world seven scenes of ten tell how two shapes stand, which takes longest to learn,
# and captions to learn from that tell no sizes begin with the smaller one, which is a first hint;
# held-out ones do not (docs/design/004-what-learns-at-small-size.md).
scenes="--train 12000"
if [ "$long" = yes ]; then
  out=$out/long
  scenes="--train 24000 --pairs 0.7 --smaller-first 1"
fi
mkdir -p "$out"
world=$out/world
run=$out/run
if [ -e "$run/config.toml" ]; then
  # An earlier demonstration stays; this one gets a folder of its own.
  n=2
  while [ -e "$run-$n/config.toml" ]; do n=$((n + 1)); done
  run=$run-$n
fi

part "draw the world"
# shellcheck disable=SC2086  # several words
$beit3 data synth "$world" $scenes --heldout 2000 --texts 12000 --no-instances
$beit3 data show "$world" --split heldout --count 12 --out "$out/world.png"

part "text tokenizer"
$beit3 tok train --words --vocab-size 100 --out "$out/text.model" "$world" "$world/texts.txt"
$beit3 tok info "$out/text.model"

part "image tokenizer"
if [ -e "$out/image.vq" ]; then
  echo "kept: $out/image.vq"
else
  $beit3 vq train --data "$world" --out "$out/image.vq" --steps 350
fi
$beit3 vq recon "$out/image.vq" --data "$world" --split heldout --out "$out/image-tokenizer.png"

# Everything that pretraining reads; further flags are added where it is called.
pretrain() {
  # shellcheck disable=SC2086  # several words
  $beit3 pretrain --preset nano --seed "$seed" $recipe \
    --data.images "$world" --data.pairs "$world" --data.texts "$world/texts.txt" \
    --tokenizer.text "$out/text.model" --tokenizer.image "$out/image.vq" "$@"
}

steps=1600
evaluations=1
# Muon for the layers' matrices (docs/design/004-what-learns-at-small-size.md).
recipe="--optim.lr 0.001 --optim.muon_lr 0.002 --optim.weight_decay 0.2"
if [ "$long" = yes ]; then
  # Words of captions are what takes long: many pairs in a large step, their pictures whole, and rare
  # words as heavy as frequent ones.
  recipe="$recipe --optim.warmup 500 --train.images 16 --train.texts 16 --train.pairs 112
    --mask.pair_image 0 --mask.pair_text 0.4 --loss.text 0.15 --loss.pair_text 2 --loss.word_power 1"
  part "measure the speed"
  rm -rf "$out/probe"
  pretrain --out "$out/probe" --max-steps 150 --log.every 150
  # 144 samples a step, for 25 minutes and a half at this speed; evaluations take another one, and a
  # machine that others use as well may slow down.
  steps=$(tail -n 1 "$out/probe/metrics.jsonl" |
    sed 's/.*"samples_per_second": \([0-9]*\).*/\1/' |
    awk '{ n = int($1 / 144 * 1530 / 100) * 100; print (n < 1600 ? 1600 : n) }')
  rm -rf "$out/probe"
  evaluations=8
fi

part "pretrain $steps steps, evaluate"
pretrain --out "$run" --steps "$steps" --log.save_every $((steps / 2)) \
  --log.eval_every $(((steps + evaluations - 1) / evaluations)) \
  --data.held_out "$world" --data.held_out_texts "$world" >"$out/table.txt"
mv "$out/table.txt" "$run/evaluation.txt"
echo
echo "Held-out pictures and captions. Each figure stands beside what simple guesses reach. Words of"
echo "captions are asked with their own picture and with a wrong one: the difference was read off"
echo "the picture."
echo
cat "$run/evaluation.txt"

if [ "$long" = yes ]; then
  part "words one at a time"
  echo "The same, each word hidden alone: all else that the caption says is there to go by."
  echo
  $beit3 eval "$run" --hidden 0 --samples 2000 >"$run/one-word.txt"
  sed -n '/^masked words of captions/,/^masked words of texts/p' "$run/one-word.txt" | sed '$d'
fi

part "show"
hidden= # what `fill` hides by itself: colours and backgrounds
if [ "$long" = yes ]; then
  $beit3 inspect "$run"
  hidden=size,shape,count,relation
fi
$beit3 fill "$run" ${hidden:+--hide "$hidden"} --sheet "$run/filled.png" >"$run/captions.txt"
cat "$run/captions.txt"

part ""
printf '\nTime of each part:\n%s  %-34s %4d s\n' "$times" "all" $(($(date +%s) - begin))
cat <<END

To look at:
$(printf '  %-34s %s\n' \
  "$out/world.png" "pictures of the world with their captions" \
  "$out/image-tokenizer.png" "what the image tokenizer keeps of a picture" \
  "$run/filled.png" "held-out pictures: whole, masked, filled in, best possible" \
  "$run/captions.txt" "captions with words filled in, beside a wrong picture" \
  "$run/evaluation.txt" "the table above" \
  "$run/metrics.jsonl" "the course of the training")

To try next:
  $beit3 fill $run --image $world/images/012000.png --text "a [?] [?] [?] on a [?] background"
  $beit3 fill $run --hide size,shape,count,place
  $beit3 eval $run --samples 2000
  $beit3 inspect $run
  $beit3 help
END
[ "$long" = yes ] || echo "  scripts/demo.sh --long"
