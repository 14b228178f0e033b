using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;
using OrtCpr.Tests.Gradients;

namespace OrtCpr.Tests.Devices;

/// <summary>Where the CUDA provider puts the nodes of a graph, worked out without it: it takes what it has a kernel for, but for nodes
/// that read results on the host where the kernel wants them on the device, and beside these only inputs of the graph and small
/// constants; those stay on the CPU, and so do the nodes that read theirs.</summary>
internal static class CudaPlacement
{
    private const long SmallConstant = 100;

    /// <summary>Operators with a kernel for float32, by the kernel classes in the provider's library of package
    /// Microsoft.ML.OnnxRuntime.Gpu.Linux 1.31.0.</summary>
    public static IReadOnlySet<string> Kernels { get; } =
        File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Data", "cuda-operators.txt")).ToHashSet(StringComparer.Ordinal);

    /// <summary>Operators that ONNX Runtime has no kernel for on any provider: it writes them by their definition before it places
    /// nodes.</summary>
    private static readonly HashSet<string> ByDefinition =
    [
        .. OperatorRow.All.Where(r => r.Cpu.StartsWith("function body", StringComparison.Ordinal)).Select(r => r.Key),
    ];

    /// <summary>Some operators have a kernel in some variants only.</summary>
    public static bool HasKernel(Node node) => node.QualifiedType switch
    {
        string op when node.Domain == "ortcpr" || ByDefinition.Contains(op) => true,
        string op when !Kernels.Contains(op) => false,
        "GRU" or "LSTM" or "RNN" => RecurrentVariants.HasCudnnKernel(node),
        "ConvTranspose" => node.Text("auto_pad", "NOTSET") is "NOTSET" or "VALID" && IsSymmetric(node.Ints("pads") ?? []),
        _ => true,
    };

    /// <summary>Nodes on the CPU, bodies included.</summary>
    public static IReadOnlyList<Node> OnCpu(OnnxGraph graph)
    {
        var onCpu = new List<Node>();
        var host = new HashSet<Value>();
        var own = new HashSet<Value>(graph.Inputs);
        foreach (Node node in graph.Nodes)
        {
            bool stays = !HasKernel(node)
                || (node.Inputs.OfType<Value>().Any(host.Contains) && node.Inputs.Select((v, i) => (v, i)).All(p => p.v is null
                    || IsSmall(p.v) || own.Contains(p.v) || (host.Contains(p.v) && !HostOperands.IsWanted(node, p.i))));
            if (stays) onCpu.Add(node);
            if (stays || HostOperands.IsGiven(node)) host.UnionWith(node.Outputs.OfType<Value>());
            foreach (OnnxGraph body in node.Subgraphs) onCpu.AddRange(OnCpu(body));
        }
        return onCpu;
    }

    private static bool IsSmall(Value value) => value.Data is not null && value.Data.ElementCount <= SmallConstant;

    private static bool IsSymmetric(long[] pads) => pads.AsSpan(0, pads.Length / 2).SequenceEqual(pads.AsSpan(pads.Length / 2));
}
