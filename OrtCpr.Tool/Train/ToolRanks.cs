using System.CommandLine;
using OrtCpr.Distributed;
using OrtCpr.Graph;

namespace OrtCpr.Tool.Train;

// The processes that mpirun or srun has started with the same words. The first one talks and writes; of the others only errors are seen.
internal sealed class ToolRanks : IDisposable
{
    private readonly ICollective? _processes;
    private readonly TextWriter _output = Console.Out, _error = Console.Error;
    private NcclCollective? _gpus;

    public ToolRanks()
    {
        if (!DistributedProgram.IsLaunched) return;
        _processes = DistributedProgram.Open();
        if (IsFirst) return;
        Console.SetOut(TextWriter.Null);
        Console.SetError(TextWriter.Null);
    }

    public bool IsFirst => _processes is null or { Rank: 0 };

    public int Size => _processes?.Size ?? 1;

    // What the first rank alone does, and all wait for.
    public void Once(Action action)
    {
        if (IsFirst) action();
        _processes?.Barrier();
    }

    // Each rank has a GPU of its own, and ranks of one machine share its cores.
    public DriverOptions Options(int threads, string device, bool shards, long outerInterval)
    {
        if (_processes is null) return new DriverOptions { Threads = threads, Device = device };
        if (device == "cuda") device = $"cuda:{DistributedProgram.LocalRank}";
        if (device.StartsWith("cuda:", StringComparison.Ordinal))
        {
            try
            {
                _gpus = new NcclCollective(_processes, DistributedProgram.LocalRank);
            }
            catch (CollectiveException error)
            {
                Console.Error.WriteLine($"warning: gradients go through the host's memory, which is slower: {error.Message}");
            }
        }
        return new DriverOptions
        {
            Threads = threads > 0 ? threads : Math.Max(1, Environment.ProcessorCount / DistributedProgram.LocalSize),
            Device = device,
            Collective = (ICollective?)_gpus ?? _processes,
            ShardOptimizerState = shards,
            OuterOptimizer = outerInterval == 0 ? null : new OuterOptimizer { Interval = outerInterval },
        };
    }

    public void RefuseWithOthers(ParseResult r, params Option[] options)
    {
        if (Size == 1) return;
        string[] given = [.. options.Where(o => r.GetResult(o) is { Implicit: false }).Select(o => o.Name)];
        if (given.Length > 0)
            throw new ToolException($"{string.Join(", ", given)} is for one process; start it without mpirun, or leave the option out.");
    }

    // After an error the others would wait for this rank for ever: all are ended.
    public int Fail(Exception error)
    {
        Console.SetOut(_output);
        Console.SetError(_error);
        if (_processes is null) return 1;
        Console.Error.WriteLine($"rank {_processes.Rank} of {_processes.Size}: {(error is OrtCprException ? error.Message : error)}");
        Console.Error.Flush();
        _processes.Abort(1);
        return 1;
    }

    public void Dispose()
    {
        Console.SetOut(_output);
        Console.SetError(_error);
        _gpus?.Dispose();
        _processes?.Dispose();
    }
}
