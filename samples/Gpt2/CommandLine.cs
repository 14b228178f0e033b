using System.CommandLine;
using System.Collections.Immutable;
using Samples;

namespace Gpt2;

// What is trained, for how long, on what.
internal sealed record Settings
{
    public string Model { get; init; } = Path.Combine(AppContext.BaseDirectory, "gpt2_5m.onnx");

    // train.bin and val.bin of uint16 tokens; null for generated ones.
    public string? DataDir { get; init; }

    public ImmutableArray<double> WeightDecays { get; init; } = [0.001, 0.01, 0.1];

    public int Seeds { get; init; } = 3;

    public long Steps { get; init; } = 400;

    public int BatchSize { get; init; } = 4;

    public int SequenceLength { get; init; } = 64;

    public double Lr { get; init; } = 1e-3;

    public long Warmup { get; init; }

    public int Threads { get; init; }

    public string Device { get; init; } = "cpu";

    public string Out { get; init; } = "gpt2";

    // A part of the table alone: adamw, adamcpr or both.
    public string Optimizers { get; init; } = "both";

    public bool Resume { get; init; }
}

internal static class CommandLine
{
    public static RootCommand Create(Func<Settings, CancellationToken, int> run)
    {
        Settings d = new();
        Option<string> model = SampleProgram.Option("model", "a GPT2 of any size: input_ids [batch, sequence] → logits", d.Model),
            device = SampleProgram.Option("device", "cpu, cuda, cuda:N or webgpu:PATH", d.Device),
            output = SampleProgram.Option("out", "folder for all runs", d.Out);
        Option<string?> data =
            new("--data-dir")
            {
                Description = "folder with train.bin and val.bin, uint16 tokens as nanoGPT writes them; by default "
                    + "generated text"
            };
        Option<string> optimizers = SampleProgram.Option("optimizers", "adamw, adamcpr or both", d.Optimizers);
        optimizers.AcceptOnlyFromAmong("adamw", "adamcpr", "both");
        Option<double[]> decays =
            new("--weight-decay")
            {
                Description = "of AdamW",
                DefaultValueFactory = _ => [.. d.WeightDecays],
                AllowMultipleArgumentsPerToken = true
            };
        Option<int> seeds = SampleProgram.Option("seeds", "runs of each, with their own orders and first weights", d.Seeds),
            batch = SampleProgram.Option("batch-size", "windows a step", d.BatchSize),
            length = SampleProgram.Option("sequence-length", "tokens a window", d.SequenceLength),
            threads = SampleProgram.Option("threads", "0 for one a physical core", 0);
        Option<long> steps = SampleProgram.Option("steps", "of a whole run", d.Steps),
            warmup = SampleProgram.Option("warmup-steps", "0 for a fortieth of the run, as in the paper", 0L);
        Option<double> lr = SampleProgram.Option("lr", "highest learning rate", d.Lr);
        Option<bool> resume = SampleProgram.Option("resume", "leave out runs that are finished, go on with one that is not", false),
            full = SampleProgram.Option("full", "the paper's length: 200000 steps of 32 × 1024 tokens, warm-up 5000", false);
        RootCommand root = new("GPT2 with AdamW, three decays, against AdamCPR with the inflection point, at equal steps and at two thirds "
            + "of them.") { model, data, optimizers, decays, seeds, steps, batch, length, lr, warmup, threads, device, output, resume,
            full };
        root.SetAction((r, cancellation) =>
        {
            bool isFull = r.GetValue(full);
            Settings settings = new()
            {
                Model = r.GetValue(model)!,
                DataDir = r.GetValue(data),
                Optimizers = r.GetValue(optimizers)!,
                WeightDecays = [.. r.GetValue(decays)!],
                Seeds = r.GetValue(seeds),
                Steps = isFull ? 200_000 : r.GetValue(steps),
                BatchSize = isFull ? 32 : r.GetValue(batch),
                SequenceLength = isFull ? 1024 : r.GetValue(length),
                Lr = r.GetValue(lr),
                Warmup = isFull ? 5000 : r.GetValue(warmup),
                Threads = r.GetValue(threads),
                Device = r.GetValue(device)!,
                Out = r.GetValue(output)!,
                Resume = r.GetValue(resume),
            };
            if (settings.Seeds < 1 || settings.Steps < 30 || settings.BatchSize < 1 || settings.SequenceLength < 1)
            {
                throw new SampleException("--seeds, --batch_size and --sequence_length must be at least 1, --steps at least 30.");
            }
            return Task.FromResult(run(settings with { Warmup = settings.Warmup > 0 ? settings.Warmup : Math.Max(1, settings.Steps / 40) },
                cancellation));
        });
        return root;
    }
}
