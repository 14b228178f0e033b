using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;
using OrtCpr.Sessions;
using OrtCpr.Tests.Cuda;

namespace OrtCpr.Tests.Functions;

// One node of an operator of ours, run as its body or as its kernel.
internal sealed record FunctionRun(string Name, int Outputs, params (string Name, object Value)[] Attributes)
{
    /// <summary>The GPU's kernels in place of the CPU's.</summary>
    public bool OnGpu { get; init; }

    /// <summary>Of an operator that is in no graph of a plan, and so not in the table; null for the table's.</summary>
    public OperatorDefinition? Definition { get; init; }

    public static float[] Values(long length, int seed, float spread = 4)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, (int)length).Select(_ => spread * ((2 * random.NextSingle()) - 1))];
    }

    public static TensorData Tensor(int seed, params long[] dimensions) =>
        TensorData.From<float>(Values(dimensions.Aggregate(1L, (n, d) => n * d), seed), dimensions);

    /// <summary>Rows of a table, some more than once and some from its end.</summary>
    public static TensorData Places(int rows, int places) => TensorData.From<long>(
        [.. Enumerable.Range(0, places).Select(i => (i * i * 31L % rows) - (i % 3 == 0 ? rows : 0))], places);

    public TensorData[] Of(bool kernels, int threads, params TensorData[] inputs)
    {
        OnnxModel model = OnnxModel.Create("function", 18);
        Value[] values = [.. inputs.Select((x, i) => model.Graph.AddInput($"x{i}", x.Type, Shape.Of(x.Dimensions)))];
        var g = new GraphBuilder(model.Graph);
        foreach (Value output in g.Ops($"{OperatorDefinition.Domain}.{Name}", Outputs, values, Attributes))
        {
            model.Graph.Outputs.Add(GraphBuilder.Typed(output, inputs[0].Type, null));
        }
        OperatorTable.Attach(model);
        if (Definition is not null)
        {
            model.Functions.Add(Definition.ToFunction(inputs[0].Type, model.Opset));
            model.Opsets[OperatorDefinition.Domain] = 1;
        }
        using Device device = OnGpu && kernels ? KernelDevice.Open() : new CpuDevice();
        using var session = new GraphSession(model, "function", new DriverOptions { Threads = threads, Kernels = kernels }, device,
            Definition is null ? null : name => name == Definition.Name ? Definition : OperatorTable.Find(name));
        using var batch = new Batch();
        for (int i = 0; i < inputs.Length; i++) batch.Add($"x{i}", inputs[i]);
        if (OnGpu && kernels) Assert.IsNull(session.Kernels.Single().BodyReason, Name);
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Session.Run(session.RunOptions, [.. batch.Tensors.Keys], [.. batch.Tensors.Values], session.Session.OutputNames);
        return [.. results.Select(Device.ReadOnHost)];
    }

    // Body and kernel, relative to 1 and to the value: both sides round in float32, sums in another order. One thread and two give the same
    // bits, and so do two runs on a GPU.
    public TensorData[] Agree(double tolerance, params TensorData[] inputs)
    {
        TensorData[] body = Of(kernels: false, 1, inputs), one = Of(kernels: true, 1, inputs);
        TensorData[] two = OnGpu && KernelDevice.IsHost ? one : Of(kernels: true, 2, inputs);
        for (int o = 0; o < Outputs; o++)
        {
            double[] expected = body[o].ToDoubles(), found = one[o].ToDoubles();
            CollectionAssert.AreEqual(found, two[o].ToDoubles(), $"{Name}: two runs");
            CollectionAssert.AreEqual(body[o].Dimensions.ToArray(), one[o].Dimensions.ToArray(), $"{Name} output {o}");
            for (int i = 0; i < expected.Length; i++)
            {
                if (double.IsNaN(expected[i]) && double.IsNaN(found[i])) continue;
                Assert.AreEqual(expected[i], found[i], tolerance * (1 + Math.Abs(expected[i])),
                    $"{Name} output {o}, element {i} of {expected.Length}");
            }
        }
        return one;
    }
}
