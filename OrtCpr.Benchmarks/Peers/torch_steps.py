#!/usr/bin/env python3
"""Time of a training step in PyTorch, for the models that `ortcpr bench` measures: one line a combination.

    python3 torch_steps.py --device cuda --precision f32 tf32 bf16 --model gpt2_5m gpt2_small resnet18

The models are those of the project's graphs: GPT2 with a causal mask, GELU by tanh, tied output projection and no
dropout; ResNet18 for CIFAR-100 with a 3x3 stem without pooling. Needs torch only.
"""
import argparse
import math
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

# layers, width, heads, vocabulary, context; batch and sequence that are measured
GPTS = {"gpt2_5m": ((4, 256, 4, 8192, 512), (8, 128)), "gpt2_small": ((12, 768, 12, 50257, 1024), (4, 512))}
IMAGES = 128


class Block(nn.Module):
    def __init__(self, width, heads, layers):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for layer in (self.attend, self.widen):
            nn.init.normal_(layer.weight, std=0.02)
        for layer in (self.project, self.narrow):
            nn.init.normal_(layer.weight, std=0.02 / math.sqrt(2 * layers))
        for layer in (self.attend, self.project, self.widen, self.narrow):
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.attend(self.ln_1(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(y.transpose(1, 2).reshape(batch, length, width))
        return x + self.narrow(F.gelu(self.widen(self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, layers, width, heads, vocabulary, context):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.blocks = nn.ModuleList([Block(width, heads, layers) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


class Residual(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)
        self.short = None
        if stride != 1 or inside != outside:
            self.short = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.short is None else self.short(x)))


class ResNet18(nn.Module):
    def __init__(self, classes=100):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        blocks, inside = [], 64
        for outside, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [Residual(inside, outside, stride), Residual(outside, outside, 1)]
            inside = outside
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(512, classes)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def job(name, device):
    """Model, one batch (input and labels), and what is drawn is the same in each run."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    if name in GPTS:
        sizes, (batch, length) = GPTS[name]
        model, vocabulary = Gpt(*sizes), sizes[3]
        ids = torch.randint(vocabulary, (batch, length + 1), generator=generator)
        return model.to(device), ids[:, :-1].contiguous().to(device), ids[:, 1:].contiguous().to(device)
    images = torch.randn(IMAGES, 3, 32, 32, generator=generator)
    labels = torch.randint(100, (IMAGES,), generator=generator)
    return ResNet18().to(device), images.to(device), labels.to(device)


def matrices_only(model):
    """Weight decay for matrices and kernels, none for gains and biases."""
    decayed = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    return [{"params": decayed, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]


class Clock:
    """Milliseconds between marks: events on a GPU, the clock elsewhere."""

    def __init__(self, cuda):
        self.cuda = cuda

    def mark(self):
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, start, end):
        return start.elapsed_time(end) if self.cuda else (end - start) * 1000


def measure(name, precision, options):
    cuda = options.device.startswith("cuda")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = options.benchmark
    model, x, labels = job(name, options.device)
    model.train()
    if name == "resnet18" and options.channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(matrices_only(model), lr=1e-3, fused=cuda)
    half = {"bf16": torch.bfloat16, "f16": torch.float16}.get(precision)
    scaler = torch.amp.GradScaler("cuda", enabled=cuda and precision == "f16")
    run = torch.compile(model) if options.compile else model
    clock, whole, passes, updates = Clock(cuda), [], [], []
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    for step in range(options.warmup + options.steps):
        if cuda:
            torch.cuda.synchronize()
        begin = time.perf_counter()
        first = clock.mark()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda" if cuda else "cpu", dtype=half or torch.bfloat16, enabled=half is not None):
            logits = run(x)
            loss = F.cross_entropy(logits.float().flatten(0, -2), labels.flatten())
        scaler.scale(loss).backward()
        second = clock.mark()
        scaler.step(optimizer)
        scaler.update()
        third = clock.mark()
        value = loss.item()
        if cuda:
            torch.cuda.synchronize()
        end = time.perf_counter()
        if step >= options.warmup:
            whole.append((end - begin) * 1000)
            passes.append(clock.between(first, second))
            updates.append(clock.between(second, third))
    if not math.isfinite(value):
        raise RuntimeError(f"the loss is {value}")
    memory = f"{torch.cuda.max_memory_allocated() / 2**20:.0f} MiB" if cuda else "-"
    print(f"torch {name} {precision} {options.optimizer}: median {statistics.median(whole):.2f} ms, "
          f"min {min(whole):.2f}, max {max(whole):.2f}; forward and backward {statistics.median(passes):.2f}, "
          f"optimizer {statistics.median(updates):.2f}; peak {memory}; loss {value:.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=[*GPTS, "resnet18"], default=[*GPTS, "resnet18"])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", nargs="+", choices=["f32", "tf32", "bf16", "f16"], default=["f32"])
    parser.add_argument("--optimizer", choices=["adamw"], default="adamw")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--benchmark", action="store_true", help="cudnn.benchmark, which PyTorch has off by default")
    parser.add_argument("--compile", action="store_true", help="torch.compile instead of eager mode")
    parser.add_argument("--channels-last", action="store_true", help="ResNet18 with channels last in memory")
    options = parser.parse_args()
    if options.steps < 1 or options.warmup < 0:
        parser.error("--steps must be at least 1 and --warmup at least 0")
    cuda = options.device.startswith("cuda")
    name = torch.cuda.get_device_name(options.device) if cuda else "CPU"
    versions = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    print(f"torch {torch.__version__}, {name}, {versions}", flush=True)
    for model in options.model:
        for precision in options.precision:
            if not cuda and precision in ("tf32", "f16"):
                print(f"torch {model} {precision}: not available on {options.device}", flush=True)
                continue
            try:
                measure(model, precision, options)
            except (RuntimeError, torch.cuda.OutOfMemoryError) as error:
                print(f"torch {model} {precision}: failed: {str(error).splitlines()[0]}", flush=True)
            if cuda:
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
