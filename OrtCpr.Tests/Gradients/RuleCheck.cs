using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Gradients;

/// <summary>Runs one case: the gradients that GradientModel gives against central differences of the model itself,
/// along a random direction for each input.</summary>
internal sealed class RuleCheck
{
    private readonly RuleCase _case;
    private readonly ElementType _floating;
    private readonly byte[] _model;
    private readonly string[] _outputs;
    private readonly Random _random = new(1);

    private RuleCheck(RuleCase row, bool dynamic, ElementType floating)
    {
        (_case, _floating) = (row, floating);
        (_model, _outputs) = Write(row, dynamic, floating);
    }

    /// <summary>In double where ONNX Runtime has the operator's kernel in double, else in float.</summary>
    public static void Run(RuleCase row, bool dynamic)
    {
        if (!row.FloatOnly && new RuleCheck(row, dynamic, ElementType.Double) is RuleCheck precise && precise.Loads()) precise.Compare();
        else new RuleCheck(row, dynamic, ElementType.Float).Compare();
    }

    private void Compare()
    {
        Dictionary<string, TensorData> feeds = Named(_case.Inputs.Select(i => i?.ToTensor(_floating))).ToDictionary(StringComparer.Ordinal);
        string[] wrt = [.. Named(_case.Inputs).Where(i => i.Value is { Differentiated: true } && i.Value.Type.IsFloating())
            .Select(i => i.Key)];
        using InferenceSession forward = Open(_model);
        Dictionary<string, TensorData> plain = Forward(forward, feeds, _outputs);
        string[] of = [.. _outputs.Where((o, i) => plain[o].Type.IsFloating() && (_case.Of is null || _case.Of.Contains(i)))];
        Dictionary<string, TensorData> cotangents = of.ToDictionary(o => o, o => Noise(plain[o].Dimensions, 1), StringComparer.Ordinal);

        using InferenceSession backward = Open(GradientModel.Build(ModelFile.Load(_model), of, wrt).ToBytes());
        Dictionary<string, TensorData> all = new(feeds, StringComparer.Ordinal);
        foreach (string output in of) all[GradientModel.CotangentOf(output)] = cotangents[output].ConvertTo(plain[output].Type);
        Dictionary<string, TensorData> gradients = Evaluate(backward, all, [.. of, .. wrt.Select(GradientModel.GradientOf)]);
        // A decomposition computes the same, but for the scale of Attention, which is float in its double kernel too.
        foreach (string output in of)
        {
            double[] expected = plain[output].ToDoubles(), found = gradients[output].ToDoubles();
            double apart = expected.Zip(found, (e, f) => Math.Abs(e - f) / (1 + Math.Abs(e))).DefaultIfEmpty(0).Max();
            Assert.IsLessThanOrEqualTo(_floating == ElementType.Double ? 1e-7 : 1e-5, apart, $"the output {output} of {_case}");
        }
        foreach (string name in wrt)
        {
            TensorData gradient = gradients[GradientModel.GradientOf(name)];
            CollectionAssert.AreEqual(feeds[name].Dimensions.ToArray(), gradient.Dimensions.ToArray(),
                $"the shape of the gradient of {name}, {_case}");
            foreach (double step in _case.Steps ?? [_floating == ElementType.Double ? 1e-4 : 1.0 / 128])
                Compare(forward, feeds, name, gradient, cotangents, step);
        }
    }

    private void Compare(InferenceSession forward, Dictionary<string, TensorData> feeds, string name, TensorData gradient,
        Dictionary<string, TensorData> cotangents, double step)
    {
        TensorData direction = Noise(gradient.Dimensions, 1);
        double[] products = [.. gradient.ToDoubles().Zip(direction.ToDoubles(), (g, d) => g * d)];
        double slope = products.Sum(), scale = products.Sum(Math.Abs);
        // Two step widths take the square of the step out of the error.
        double differences = ((8 * (Along(step) - Along(-step))) - (Along(2 * step) - Along(-2 * step))) / (12 * step);
        double tolerance = _floating == ElementType.Double ? 1e-6 : 1e-3;
        Assert.IsLessThanOrEqualTo(tolerance
            * (1 + scale), Math.Abs(slope - differences),
            $"gradient of {name}: {slope}, differences {differences} at {step}, {_floating}, {_case}");

        double Along(double t)
        {
            double[] moved = [.. feeds[name].ToDoubles().Zip(direction.ToDoubles(), (x, d) => x + (t * d))];
            Dictionary<string, TensorData> at = new(feeds, StringComparer.Ordinal)
            { [name] = TensorData.From<double>(moved, [.. gradient.Dimensions]).ConvertTo(_floating) };
            Dictionary<string, TensorData> outputs = Forward(forward, at, cotangents.Keys);
            return cotangents.Sum(c => c.Value.ToDoubles().Zip(outputs[c.Key].ToDoubles(), (c, y) => c * y).Sum());
        }
    }

    private TensorData Noise(IReadOnlyList<long> dims, double size) =>
        TensorData.From<double>(
            [.. Enumerable.Range(0, (int)dims.Aggregate(1L, (p, d) => p * d))
                .Select(_ => (float)(size * ((_random.NextDouble() * 2) - 1)))], [.. dims]);

    internal static IEnumerable<KeyValuePair<string, T>> Named<T>(IEnumerable<T?> inputs) where T : class =>
        inputs.Select((input, i) => (input, i)).Where(p => p.input is not null).Select(p => KeyValuePair.Create($"x{p.i}", p.input!));

    private bool Loads()
    {
        try
        {
            using InferenceSession session = Open(_model);
            return true;
        }
        catch (OnnxRuntimeException)
        {
            return false;
        }
    }

    internal static InferenceSession Open(byte[] model)
    {
        using var options = new SessionOptions
        {
            IntraOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL
        };
        return new InferenceSession(model, options);
    }

    private Dictionary<string, TensorData> Forward(InferenceSession session, Dictionary<string, TensorData> feeds,
        IReadOnlyCollection<string> outputs)
    {
        if (_case.Shared.Length == 0) return Evaluate(session, feeds, outputs);
        Dictionary<string, TensorData> all = Bound(session, feeds, _outputs, _case.Shared);
        return outputs.ToDictionary(o => o, o => all[o], StringComparer.Ordinal);
    }

    /// <summary>With some outputs written over copies of inputs.</summary>
    internal static Dictionary<string, TensorData> Bound(InferenceSession session, IReadOnlyDictionary<string, TensorData> feeds,
        string[] outputs, (int Input, int Output)[] shared)
    {
        using var batch = new Batch();
        using OrtIoBinding binding = session.CreateIoBinding();
        foreach ((string name, TensorData data) in feeds)
        {
            batch.Add(name, data);
            binding.BindInput(name, batch.Tensors[name]);
        }
        for (int i = 0; i < outputs.Length; i++)
        {
            if (shared.Where(s => s.Output == i).Select(s => $"x{s.Input}").FirstOrDefault() is string input)
                binding.BindOutput(outputs[i], batch.Tensors[input]);
            else binding.BindOutputToDevice(outputs[i], OrtMemoryInfo.DefaultInstance);
        }
        using var run = new RunOptions();
        session.RunWithBinding(run, binding);
        using IDisposableReadOnlyCollection<OrtValue> results = binding.GetOutputValues();
        return outputs.Zip(results).ToDictionary(p => p.First, p => ToTensor(p.Second), StringComparer.Ordinal);
    }

    internal static Dictionary<string, TensorData> Evaluate(InferenceSession session, IReadOnlyDictionary<string, TensorData> feeds,
        IReadOnlyCollection<string> outputs)
    {
        using var batch = new Batch();
        string[] fed = [.. session.InputNames.Where(feeds.ContainsKey)];
        foreach (string name in fed) batch.Add(name, feeds[name]);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, fed, [.. fed.Select(f => batch.Tensors[f])], outputs);
        return outputs.Zip(results).ToDictionary(p => p.First, p => ToTensor(p.Second), StringComparer.Ordinal);
    }

    private static TensorData ToTensor(OrtValue value)
    {
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        return TensorData.Create((ElementType)(int)info.ElementDataType, info.Shape, value.GetTensorMutableRawData().ToArray());
    }

    internal static (byte[] Model, string[] Outputs) Write(RuleCase row, bool dynamic, ElementType floating)
    {
        OnnxModel model = OnnxModel.Create("case", row.Opset);
        model.Opsets["com.microsoft"] = 1;
        // Below opset 11 there are no newer files than these.
        model.IrVersion = row.Opset < 11 ? 4 : 8;
        var g = new GraphBuilder(model.Graph);
        var inputs = new Value?[row.Inputs.Length];
        for (int i = 0; i < inputs.Length; i++)
        {
            if (row.Inputs[i] is not Feed feed) continue;
            TensorData data = feed.ToTensor(floating);
            Shape shape = dynamic && !feed.Constant
                ? new Shape(Enumerable.Range(0, feed.Shape.Length).Select(d => (Dim)SymbolicInt.Symbol($"x{i}d{d}")))
                : Shape.Of(feed.Shape);
            inputs[i] = feed.Constant ? model.Graph.AddInitializer($"x{i}", data) : model.Graph.AddInput($"x{i}", data.Type, shape);
        }
        Value[] outputs = row.Body?.Invoke(g, inputs) ?? [.. g.Ops(row.Op, row.Outputs, inputs, row.Attributes)];
        for (int i = 0; i < outputs.Length; i++)
            model.Graph.Outputs.Add(GraphBuilder.Typed(g.Named(outputs[i], $"y{i}"), ElementType.Undefined, null));
        return (GraphWriter.ToBytes(model), [.. outputs.Select(o => o.Name)]);
    }
}
