using System.Globalization;

namespace OrtCpr.Benchmarks.Harness;

/// <summary>The command line.</summary>
internal sealed record BenchmarkOptions
{
    /// <summary>Benchmarks to run, in this order.</summary>
    public required IReadOnlyList<string> Names { get; init; }

    /// <summary>Threads of each side.</summary>
    public int Threads { get; init; } = Math.Min(2, Environment.ProcessorCount);

    /// <summary>Timed runs of each side; the figures are medians of them.</summary>
    public int Runs { get; init; } = 7;

    /// <summary>Small and few, to see that everything runs. Its figures are not kept.</summary>
    public bool Quick { get; init; }

    /// <summary>Sums ONNX Runtime's node timings of our side instead of measuring.</summary>
    public bool Profile { get; init; }

    /// <summary>Whether TorchSharp is timed with the C library keeping the memory that it frees.</summary>
    public bool KeepMemory { get; init; }

    /// <summary>Folder of the ONNX models without weights.</summary>
    public string Models { get; init; } = Path.Combine("..", "shared", "models");

    /// <summary>Folder that holds <c>grokking/split.safetensors</c>.</summary>
    public string Data { get; init; } = Path.Combine("..", "shared", "data");

    /// <summary>Stands for every benchmark.</summary>
    private const string All = "all";

    /// <summary>How the run is repeated; folders stay out of it.</summary>
    public string CommandFor(string name) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"dotnet run -c Release --project OrtCpr.Benchmarks -- {name} --threads {Threads} --runs {Runs}"
            + $"{(KeepMemory ? " --keep-memory" : "")}{(Quick ? " --quick" : "")}");

    /// <summary>The options as arguments of this program, for a process of its own.</summary>
    public IReadOnlyList<string> ToArguments(string name) =>
        [
            name, "--threads", Threads.ToString(CultureInfo.InvariantCulture), "--models", Models,
            .. Quick ? ["--quick"] : Array.Empty<string>(),
        ];

    public static string Usage(IReadOnlyList<string> known) =>
        $"""
        Usage: OrtCpr.Benchmarks <name> [<name> ...] [options]
        Names: {string.Join(", ", known)}; {All} for every one of them
          --threads N    threads of each side (default: 2, or the processor count if that is smaller)
          --runs N       timed runs of each side, medians are reported (default: 7)
          --models DIR   folder of the models without weights (default: ../shared/models)
          --data DIR     folder with grokking/split.safetensors (default: ../shared/data)
          --profile      where our side's time goes, by graph and operator, instead of measuring (gpt, resnet, finetune, grokking, overhead)
          --keep-memory  tells the C library to keep what libtorch frees, for a program that sets its allocator so;
                         by default it gives large blocks back
          --quick        small and few; nothing is written to docs/benchmarks.md
        """;

    /// <exception cref="ArgumentException">Says what is wrong with the arguments.</exception>
    public static BenchmarkOptions Parse(IReadOnlyList<string> arguments, IReadOnlyList<string> known)
    {
        List<string> names = [];
        BenchmarkOptions options = new() { Names = names };
        for (int i = 0; i < arguments.Count; i++)
        {
            string argument = arguments[i];
            switch (argument)
            {
                case "--quick": options = options with { Quick = true }; break;
                case "--keep-memory": options = options with { KeepMemory = true }; break;
                case "--profile": options = options with { Profile = true }; break;
                case "--threads": options = options with { Threads = Number(argument) }; break;
                case "--runs": options = options with { Runs = Number(argument) }; break;
                case "--models": options = options with { Models = Text(argument) }; break;
                case "--data": options = options with { Data = Text(argument) }; break;
                case All: names.AddRange(known.Except(names)); break;
                default:
                    if (!known.Contains(argument))
                        throw new ArgumentException($"There is no {(argument.StartsWith('-') ? "option" : "benchmark")} '{argument}'.");
                    if (!names.Contains(argument))
                        names.Add(argument);
                    break;
            }

            string Text(string option) => ++i < arguments.Count ? arguments[i]
                : throw new ArgumentException($"Option '{option}' needs a value.");

            int Number(string option)
            {
                string text = Text(option);
                return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0
                    ? number
                    : throw new ArgumentException($"Option '{option}' is '{text}'; expected a whole number of at least 1.");
            }
        }
        return names.Count > 0 ? options : throw new ArgumentException("No benchmark is named.");
    }
}
