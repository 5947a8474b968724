#!/bin/bash
# Pretraining with torchrun, one process per GPU, from the root of the repository. Start it on every node.
#
#   docs/cluster/torchrun.sh --data datamodules/cross_sensor.yaml --data.paths.aerial DIR ...
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=node0 docs/cluster/torchrun.sh ...    # on node0
#   NNODES=2 NODE_RANK=1 MASTER_ADDR=node0 docs/cluster/torchrun.sh ...    # on the other
#   NPROC=2 ACCELERATOR=cpu docs/cluster/torchrun.sh                       # two processes without a GPU
set -euo pipefail
NNODES=${NNODES:-1}
NPROC=${NPROC:-$(nvidia-smi --list-gpus | wc -l)}

# The folder of the run, on storage that all nodes share. The same command goes on with what lies there.
RUN=${RUN:-runs/torchrun}
newest=$(ls -td "$RUN"/hpc_ckpt_*.ckpt "$RUN"/version_*/checkpoints/last.ckpt 2>/dev/null | head -n 1 || true)

# Seconds from SIGTERM to SIGKILL: enough for a validation, ten steps and a checkpoint. torchrun's default is 30.
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=${GRACE:-600}

# exec: SIGTERM must reach torchrun, which passes it on.
exec torchrun --nnodes "$NNODES" --node-rank "${NODE_RANK:-0}" --nproc-per-node "$NPROC" \
    --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${MASTER_PORT:-29500}" \
    -m xstars_lightning.cli fit --config "${CONFIG:-configs/pretrain.yaml}" \
    --trainer.num_nodes "$NNODES" --trainer.devices "$NPROC" --trainer.accelerator "${ACCELERATOR:-gpu}" \
    --trainer.strategy ddp --trainer.precision bf16-mixed \
    --data.num_workers "${WORKERS:-0}" \
    --trainer.default_root_dir "$RUN" ${newest:+--ckpt_path "$newest"} "$@"
