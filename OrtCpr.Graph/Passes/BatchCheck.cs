using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Graph.Passes;

/// <summary>Runs a model with its fixed batch on two batches, and the freed one on both together: the results are
/// those of each, one after the other along the batch.</summary>
internal static class BatchCheck
{
    /// <summary>Initializers beyond this are fed, so that no copy of them is written.</summary>
    private const long KeptElements = 512;

    private const double Tolerance = 1e-3;

    /// <summary>A size for what is free besides the batch.</summary>
    private const long OtherSize = 16;

    /// <summary>The first node, in the order of the graph, that gives an example something else beside another one;
    /// null where all agree, or where the model draws random numbers or does not run on numbers made up.</summary>
    /// <param name="original">The model with its fixed batch.</param>
    /// <param name="freed">The model after it.</param>
    /// <param name="choice">Its batch.</param>
    /// <param name="symbol">The batch's symbol in the freed model.</param>
    /// <param name="stride">Elements from one example to the next, of a value of the freed model.</param>
    public static string? FirstDifference(OnnxModel original, OnnxModel freed, BatchAxes choice, string symbol,
        Func<Value, SymbolicInt?> stride)
    {
        if (original.Graph.Nodes.Any(OperatorTraits.Draws) || original.Graph.Inputs.Any(i => i.Type is ElementType.Undefined
            or ElementType.String or ElementType.Float16 or ElementType.BFloat16))
        {
            return null;
        }
        string[] outputs = [.. freed.Graph.Outputs.Where(o => stride(o) is not null && o.Producer is not null).Select(o => o.Name)
            .Distinct()];
        if (outputs.Length == 0) return null;
        Dictionary<string, SymbolicInt> strides = Strides(freed, stride);
        string? different = Compare(original, freed, choice, symbol, outputs, strides);
        if (different is null) return null;
        // Where it begins: with everything that both give.
        string[] all = [.. original.Graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>().Select(o => o.Name).Where(strides.ContainsKey)];
        string first = Compare(original, freed, choice, symbol, all, strides) ?? different;
        return $"node {original.Graph.Nodes.First(n => n.Outputs.Any(o => o?.Name == first)).Label}";
    }

    private static Dictionary<string, SymbolicInt> Strides(OnnxModel freed, Func<Value, SymbolicInt?> stride)
    {
        var strides = new Dictionary<string, SymbolicInt>(StringComparer.Ordinal);
        foreach (Value value in freed.Graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>())
        {
            if (stride(value) is SymbolicInt known) strides[value.Name] = known;
        }
        return strides;
    }

    private static string? Compare(OnnxModel original, OnnxModel freed, BatchAxes choice, string symbol, string[] outputs,
        Dictionary<string, SymbolicInt> strides)
    {
        var sizes = new Dictionary<string, long>(StringComparer.Ordinal) { [symbol] = choice.Size };
        foreach (Dim dim in original.Graph.Inputs.SelectMany(i => i.Shape ?? Shape.Scalar).Where(d => d.Known is null))
            sizes[dim.ToString()] = OtherSize;
        var random = new Random(1);
        Dictionary<string, TensorData> first = Feeds(original.Graph, sizes, random), second = Feeds(original.Graph, sizes, random);
        Dictionary<string, TensorData> both = original.Graph.Inputs.ToDictionary(i => i.Name,
            i => !choice.Axes.TryGetValue(i.Name, out int axis)
            ? first[i.Name] : Joined(first[i.Name], second[i.Name], axis), StringComparer.Ordinal);
        foreach (Value shared in original.Graph.Inputs.Where(i => !choice.Axes.ContainsKey(i.Name)))
            second[shared.Name] = first[shared.Name];
        TensorData[] one, two, together;
        try
        {
            using var old = new Runner(original, outputs);
            one = old.Run(first);
            two = old.Run(second);
        }
        catch (OnnxRuntimeException)
        {
            // Numbers made up may be none that the model takes.
            return null;
        }
        try
        {
            using var now = new Runner(freed, outputs);
            together = now.Run(both);
        }
        catch (OnnxRuntimeException)
        {
            return outputs[0];
        }
        for (int i = 0; i < outputs.Length; i++)
        {
            if (strides[outputs[i]].Evaluate(sizes) is not long step) continue;
            if (!Agree(one[i], two[i], together[i], step * choice.Size)) return outputs[i];
        }
        return null;
    }

    private static Dictionary<string, TensorData> Feeds(OnnxGraph graph, Dictionary<string, long> sizes, Random random)
    {
        var feeds = new Dictionary<string, TensorData>(StringComparer.Ordinal);
        foreach (Value input in graph.Inputs)
        {
            long[] dims = [.. (input.Shape ?? Shape.Scalar).Select(d => d.Size?.Evaluate(sizes) ?? OtherSize)];
            long count = dims.Aggregate(1L, (p, d) => p * d);
            double[] values = [.. Enumerable.Range(0, (int)count).Select(_ => input.Type.IsFloating() ? (random.NextDouble() * 2) - 1
                : random.Next(2))];
            feeds[input.Name] = NumberTensors.Of(input.Type, values, dims);
        }
        return feeds;
    }

    private static TensorData Joined(TensorData a, TensorData b, int axis)
    {
        int block = a.Bytes.Length / (int)a.Dimensions.Take(axis).Aggregate(1L, (p, d) => p * d);
        byte[] bytes = new byte[a.Bytes.Length * 2];
        for (int at = 0; at < a.Bytes.Length; at += block)
        {
            a.Bytes.Span.Slice(at, block).CopyTo(bytes.AsSpan(at * 2));
            b.Bytes.Span.Slice(at, block).CopyTo(bytes.AsSpan((at * 2) + block));
        }
        long[] dims = [.. a.Dimensions];
        dims[axis] *= 2;
        return TensorData.Create(a.Type, dims, bytes);
    }

    private static bool Agree(TensorData one, TensorData two, TensorData both, long block)
    {
        if (both.ElementCount != 2 * one.ElementCount || one.ElementCount % block != 0) return false;
        double[] a = one.ToDoubles(), b = two.ToDoubles(), c = both.ToDoubles();
        double scale = a.Concat(b).Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty(0).Max();
        for (long i = 0; i < a.Length; i++)
        {
            long at = (i / block * 2 * block) + (i % block);
            if (Apart(a[i], c[at]) || Apart(b[i], c[at + block])) return false;
        }
        return true;

        bool Apart(double x, double y) => !x.Equals(y) && !(Math.Abs(x - y) <= Tolerance * scale);
    }

    /// <summary>A copy in evaluation form, without labels or anything else than some outputs.</summary>
    private sealed class Runner : IDisposable
    {
        private readonly InferenceSession _session;
        private readonly Dictionary<string, TensorData> _weights;
        private readonly string[] _outputs;

        public Runner(OnnxModel model, string[] outputs)
        {
            _outputs = outputs;
            OnnxModel copy = GraphCopier.Copy(model).Model;
            TrainingMode.ToEvaluation(copy);
            Dictionary<string, Value> values = copy.Graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>().ToDictionary(v => v.Name,
                StringComparer.Ordinal);
            copy.Graph.Outputs.Clear();
            foreach (string output in outputs) copy.Graph.Outputs.Add(values[output]);
            RemoveDeadNodes.Run(copy.Graph);
            _weights = WeightsToInputs.Run(copy, copy.Graph.Initializers.Where(i => i.Data!.ElementCount > KeptElements
                && i.Type.IsFloating())
                .Select(i => i.Name).ToList());
            using var options = new SessionOptions
            {
                GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL,
                LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
            };
            _session = new InferenceSession(GraphWriter.ToBytes(copy), options);
        }

        public unsafe TensorData[] Run(Dictionary<string, TensorData> feeds)
        {
            string[] names = [.. _session.InputNames];
            var pins = new List<System.Buffers.MemoryHandle>();
            var values = new List<OrtValue>();
            try
            {
                foreach (string name in names)
                {
                    TensorData data = feeds.GetValueOrDefault(name) ?? _weights[name];
                    System.Buffers.MemoryHandle pin = data.Bytes.Pin();
                    pins.Add(pin);
                    values.Add(OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance,
                        (Microsoft.ML.OnnxRuntime.Tensors.TensorElementType)(int)data.Type, [.. data.Dimensions], (nint)pin.Pointer,
                            data.Bytes.Length));
                }
                using var run = new RunOptions();
                using IDisposableReadOnlyCollection<OrtValue> results = _session.Run(run, names, values, _outputs);
                return [.. results.Select(ToTensor)];
            }
            finally
            {
                foreach (OrtValue value in values) value.Dispose();
                foreach (System.Buffers.MemoryHandle pin in pins) pin.Dispose();
            }
        }

        public void Dispose() => _session.Dispose();

        private static TensorData ToTensor(OrtValue value)
        {
            OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
            return TensorData.Create((ElementType)(int)info.ElementDataType, info.Shape, value.GetTensorMutableRawData().ToArray());
        }
    }
}
