namespace OrtCpr;

/// <summary>How a driver runs its graphs.</summary>
public sealed record DriverOptions
{
    /// <summary>Threads of each session, kernels included; 0 for one a physical core (ONNX Runtime's default).</summary>
    public int Threads { get; init; }

    /// <summary>Fused C# kernels in place of the standard-operator bodies of our functions, where the device allows. Default on.</summary>
    public bool Kernels { get; init; } = true;

    /// <summary>Where graphs run: <c>cpu</c> (default), <c>cuda</c>, <c>cuda:N</c>, or <c>webgpu:PATH</c> with the path
    /// of the provider plugin; options of the provider follow as <c>,key=value</c>. See <see
    /// cref="DeviceCatalog"/>.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Lets nodes for which another device has no kernel run on the CPU, with copies in each step. Default
    /// off: such a graph is refused, and the error lists the nodes.</summary>
    public bool AllowCpuFallback { get; init; }

    /// <summary>Folder to write every graph to before it runs, for looking at them; null for none (default).</summary>
    public string? KeepGraphs { get; init; }

    /// <summary>Folder for ONNX Runtime's profile of every session, a JSON file each, written when the driver is
    /// disposed; null for none (default).</summary>
    public string? Profiles { get; init; }

    /// <summary>The processes that train together, of which this is one; null for this one alone (default).</summary>
    /// <remarks>Parameters and statistics of rank 0 are those of all at the start. Each rank trains on its own batches, and an optimizer
    /// step makes of the gradients those of one batch of them all, each counted by what its loss divides by. Ranks that train something
    /// else are refused. The collective stays the caller's and must outlive the driver.</remarks>
    public ICollective? Collective { get; init; }

    /// <summary>Keeps moments and other state of a parameter on one rank only: state takes 1/Size of the memory on each, and an optimizer
    /// step sends the new parameters instead of computing them everywhere. The numbers are those of the same step without, to the bit.
    /// Default off; without a <see cref="Collective"/> it changes nothing.</summary>
    public bool ShardOptimizerState { get; init; }

    /// <summary>Lets ranks make steps of their own, and exchange now and then; null for gradients in each step (default).</summary>
    public OuterOptimizer? OuterOptimizer { get; init; }

    /// <summary>Opens another device than the named one, for tests; null for none.</summary>
    internal Func<Devices.Device>? OpenDevice { get; init; }

    /// <summary>A new handle of the device, the caller's.</summary>
    internal Devices.Device Open() => OpenDevice?.Invoke() ?? DeviceCatalog.Open(Device);

    /// <summary>Checks every property.</summary>
    /// <exception cref="Graph.OptionException">Names all that are out of range.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        if (Threads < 0) problems.Add($"{nameof(Threads)} is {Threads}; expected 0 (one a physical core) or more");
        if (DeviceCatalog.Problem(Device) is string problem) problems.Add($"{nameof(Device)} is {problem}");
        problems.AddRange(OuterOptimizer?.Problems() ?? []);
        if (OuterOptimizer is not null && ShardOptimizerState)
        {
            problems.Add($"{nameof(OuterOptimizer)} and {nameof(ShardOptimizerState)} exclude each other: steps of a rank's own take "
                + "its own state");
        }
        Graph.OptionException.ThrowIfAny("The driver has options out of range", problems);
    }
}
