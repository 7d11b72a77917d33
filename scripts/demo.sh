#!/bin/sh
# From nothing to a small BEiT-3 that reads colours off pictures it has never seen.
#
# usage: scripts/demo.sh [--long] [--seed N] [--out DIR]
#
#   --long     pretrains for at most 30 minutes, until words that need more than one patch (sizes,
#              places, counts, relations) are read off the picture
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
mkdir -p "$out"
world=$out/world
run=$out/run
[ "$long" = no ] || run=$out/run-long
if [ -e "$run/config.toml" ]; then
  # An earlier demonstration stays; this one gets a folder of its own.
  n=2
  while [ -e "$run-$n/config.toml" ]; do n=$((n + 1)); done
  run=$run-$n
fi

part "draw the world"
$beit3 data synth "$world" --train 12000 --heldout 2000 --texts 12000 --no-instances
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
recipe=""
if [ "$long" = yes ]; then
  # Words of captions are what takes long: more pairs in a step of the same cost, and what else made
  # them come sooner (docs/design/004-what-learns-at-small-size.md).
  recipe="--train.images 4 --train.texts 4 --train.pairs 28 --optim.warmup 500
    --optim.weight_decay 0.2 --loss.pair_text 2 --loss.word_power 1"
  part "measure the speed"
  rm -rf "$out/probe"
  pretrain --out "$out/probe" --max-steps 60 --log.every 20
  # 36 samples a step; 32 minutes at the speed of the first steps. These encode their pictures, which
  # later ones need not: with the evaluations it becomes 27.
  steps=$(tail -n 1 "$out/probe/metrics.jsonl" |
    sed 's/.*"samples_per_second": \([0-9]*\).*/\1/' |
    awk '{ n = int($1 / 36 * 1900 / 100) * 100; print (n < 1600 ? 1600 : n) }')
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
  part "relations where sizes tell nothing"
  # In the world, the shape that is named first is smaller in most pairs, as in speech. Here it is
  # not: what is right here was read by the shapes' names.
  $beit3 data synth "$out/control" --train 1 --heldout 2000 --texts 1 --no-instances \
    --figure-ground 0.5
  $beit3 eval "$run" --held-out "$out/control" --samples 2000 >"$run/control.txt"
  echo
  echo "The same model, asked about pairs whose first shape is as often the large one:"
  sed -n '/^masked words of captions/p;/^  relation/{p;q}' "$run/control.txt"
  echo "Words of relation that are right above and not here were read off the shapes' sizes."
fi

part "show"
[ "$long" = no ] || $beit3 inspect "$run"
$beit3 fill "$run" --sheet "$run/filled.png" >"$run/captions.txt"
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
