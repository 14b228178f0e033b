using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph;

/// <summary>Gradients of a model's outputs as a plain inference model: vector-Jacobian products with upstream gradients
/// that are inputs.</summary>
public sealed class GradientModel
{
    private readonly OnnxModel _model;

    private GradientModel(OnnxModel model) => _model = model;

    internal OnnxModel Model => _model;

    /// <summary>The output with the gradient of each name; <see cref="GradientOf"/>, or with a number behind it where
    /// the model has such an output already.</summary>
    public required IReadOnlyDictionary<string, string> Gradients { get; init; }

    /// <summary>The input that carries the upstream gradient of an output, of the output's shape and type.</summary>
    /// <param name="output">The output's name.</param>
    /// <returns><c>OUTPUT_cotangent</c>.</returns>
    public static string CotangentOf(string output) => $"{output}_cotangent";

    /// <summary>The output that carries the gradient of an input or initializer, of its shape and type, where the model has no output
    /// of that name itself; <see cref="Gradients"/> says it in any case.</summary>
    /// <param name="name">The input or initializer.</param>
    /// <returns><c>NAME_grad</c>.</returns>
    public static string GradientOf(string name) => $"{name}_grad";

    /// <summary>The ONNX model: the inputs of the original and one cotangent an output; the outputs of the original and
    /// one gradient a name.</summary>
    public byte[] ToBytes() => GraphWriter.ToBytes(_model);

    /// <summary>Differentiates Σ cotangent·output over the given outputs.</summary>
    /// <param name="path">The model file.</param>
    /// <param name="of">Floating outputs that take part.</param>
    /// <param name="wrt">Floating inputs and initializers to differentiate with respect to.</param>
    /// <exception cref="OptionException">A name is not in the model.</exception>
    /// <exception cref="UnsupportedGradientException">An operator on the way has no rule.</exception>
    public static GradientModel Build(string path, IReadOnlyList<string> of, IReadOnlyList<string> wrt) => Build(path, of, wrt, null);

    /// <summary>Differentiates Σ cotangent·output over the given outputs, by rules of the caller's.</summary>
    /// <param name="path">The model file.</param>
    /// <param name="of">Floating outputs that take part.</param>
    /// <param name="wrt">Floating inputs and initializers to differentiate with respect to.</param>
    /// <param name="rules">Gradient rules; null for the built-in table.</param>
    /// <exception cref="OptionException">A name is not in the model.</exception>
    /// <exception cref="UnsupportedGradientException">An operator on the way has no rule.</exception>
    public static GradientModel Build(string path, IReadOnlyList<string> of, IReadOnlyList<string> wrt, GradientRules? rules) =>
        Build(ModelFile.Load(path), of, wrt, rules);

    /// <summary>Differentiates a scalar output; the model gets no further input.</summary>
    /// <remarks>The result is a model like any other: built from its bytes again it gives second derivatives.</remarks>
    /// <param name="path">The model file.</param>
    /// <param name="of">A floating output of one element.</param>
    /// <param name="wrt">Floating inputs and initializers to differentiate with respect to.</param>
    /// <exception cref="OptionException">A name is not in the model, or the output has more than one element.</exception>
    /// <exception cref="UnsupportedGradientException">An operator on the way has no rule.</exception>
    public static GradientModel Build(string path, string of, IReadOnlyList<string> wrt) => Build(path, of, wrt, null);

    /// <summary>Differentiates a scalar output, by rules of the caller's; the model gets no further input.</summary>
    /// <param name="path">The model file.</param>
    /// <param name="of">A floating output of one element.</param>
    /// <param name="wrt">Floating inputs and initializers to differentiate with respect to.</param>
    /// <param name="rules">Gradient rules; null for the built-in table.</param>
    /// <exception cref="OptionException">A name is not in the model, or the output has more than one element.</exception>
    /// <exception cref="UnsupportedGradientException">An operator on the way has no rule.</exception>
    public static GradientModel Build(string path, string of, IReadOnlyList<string> wrt, GradientRules? rules) =>
        Build(ModelFile.Load(path), [of], wrt, rules, scalar: true);

    /// <summary>Differentiates a scalar output of a model in memory.</summary>
    /// <param name="model">The bytes of an ONNX file without external data.</param>
    /// <param name="of">A floating output of one element.</param>
    /// <param name="wrt">Floating inputs and initializers to differentiate with respect to.</param>
    /// <exception cref="OptionException">A name is not in the model, or the output has more than one element.</exception>
    /// <exception cref="UnsupportedGradientException">An operator on the way has no rule.</exception>
    public static GradientModel Build(ReadOnlyMemory<byte> model, string of, IReadOnlyList<string> wrt) => Build(model, of, wrt, null);

    /// <summary>Differentiates a scalar output of a model in memory, by rules of the caller's.</summary>
    /// <param name="model">The bytes of an ONNX file without external data.</param>
    /// <param name="of">A floating output of one element.</param>
    /// <param name="wrt">Floating inputs and initializers to differentiate with respect to.</param>
    /// <param name="rules">Gradient rules; null for the built-in table.</param>
    /// <exception cref="OptionException">A name is not in the model, or the output has more than one element.</exception>
    /// <exception cref="UnsupportedGradientException">An operator on the way has no rule.</exception>
    public static GradientModel Build(ReadOnlyMemory<byte> model, string of, IReadOnlyList<string> wrt, GradientRules? rules) =>
        Build(ModelFile.Load(model), [of], wrt, rules, scalar: true);

    /// <summary>Differentiates Σ cotangent·output over outputs of a model in memory.</summary>
    /// <param name="model">The bytes of an ONNX file without external data.</param>
    /// <param name="of">Floating outputs that take part.</param>
    /// <param name="wrt">Floating inputs and initializers to differentiate with respect to.</param>
    /// <exception cref="OptionException">A name is not in the model.</exception>
    /// <exception cref="UnsupportedGradientException">An operator on the way has no rule.</exception>
    public static GradientModel Build(ReadOnlyMemory<byte> model, IReadOnlyList<string> of, IReadOnlyList<string> wrt) =>
        Build(model, of, wrt, null);

    /// <summary>Differentiates Σ cotangent·output over outputs of a model in memory, by rules of the caller's.</summary>
    /// <param name="model">The bytes of an ONNX file without external data.</param>
    /// <param name="of">Floating outputs that take part.</param>
    /// <param name="wrt">Floating inputs and initializers to differentiate with respect to.</param>
    /// <param name="rules">Gradient rules; null for the built-in table.</param>
    /// <exception cref="OptionException">A name is not in the model.</exception>
    /// <exception cref="UnsupportedGradientException">An operator on the way has no rule.</exception>
    public static GradientModel Build(ReadOnlyMemory<byte> model, IReadOnlyList<string> of, IReadOnlyList<string> wrt,
        GradientRules? rules) =>
        Build(ModelFile.Load(model), of, wrt, rules);

    internal static GradientModel Build(ModelFile file, IReadOnlyList<string> of, IReadOnlyList<string> wrt, GradientRules? rules = null,
        bool scalar = false)
    {
        OnnxModel model = RegulariseModel.Run(file, new Dictionary<string, TensorData>(), rules);
        OnnxGraph graph = model.Graph;
        string[] missing = [.. of.Where(o => graph.Outputs.All(v => v.Name != o)).Select(o => $"output '{o}'"),
            .. wrt.Where(w => !graph.Inputs.Concat(graph.Initializers).Any(v => v.Name == w)).Select(w => $"input or initializer '{w}'")];
        OptionException.ThrowIfAny($"Model '{file.Name}' does not have", missing);
        InlineBranches.InferAndRun(model);
        IReadOnlyList<RunningStatistic> statistics = TrainingMode.ToTraining(model, BatchNormalizationMode.AsExported, false);
        // Running statistics are of no interest here: their inputs go back to what the file holds.
        foreach (RunningStatistic statistic in statistics)
        {
            Value pending = graph.Inputs.First(i => i.Name == statistic.Pending);
            graph.Inputs.Remove(pending);
            pending.Data = graph.Initializers.First(i => i.Name == statistic.Name).Data;
            graph.Initializers.Add(pending);
        }
        graph.Outputs.RemoveAll(o => statistics.Any(s => s.Updated == o.Name));
        var initializers = wrt.ToHashSet(StringComparer.Ordinal);
        Dictionary<string, TensorData> weights = WeightsToInputs.Run(model, initializers);
        PrepareGraph.Run(model, InferShapes.Again(model));
        ShapeInference known = InferShapes.Again(model);
        var builder = new GraphBuilder(graph, known);
        var seeds = new Dictionary<Value, Value>();
        foreach (Value output in graph.Outputs.Where(o => of.Contains(o.Name)).Distinct())
        {
            if (scalar && output.Shape?.ElementCount?.Constant != 1)
            {
                throw new OptionException(
                    $"Output '{output.Name}' has shape {output.Shape?.ToString() ?? "of unknown rank"}; expected one element. "
                    + $"Name it in a list, and feed '{CotangentOf(output.Name)}'.");
            }
            seeds[output] = scalar ? builder.Reshape(builder.Scalar(1, output.Type), [.. Enumerable.Repeat(1L, output.Shape!.Rank)])
                : graph.AddInput(CotangentOf(output.Name), output.Type, output.Shape);
        }
        var sources = graph.Inputs.Where(i => initializers.Contains(i.Name)).ToHashSet();
        if (sources.FirstOrDefault(s => s.Type == ElementType.Undefined) is Value other)
        {
            throw new OptionException(
                $"Input '{other.Name}' is no dense tensor (a sparse one, or a sequence), and gradients are. "
                + "Differentiate with respect to dense tensors.");
        }
        IReadOnlyDictionary<Value, Value> gradients = new BackwardPass(graph, builder, rules ?? GradientRules.Default).Run(seeds, sources);
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (Value source in sources.OrderBy(s => s.Name, StringComparer.Ordinal))
        {
            builder.Scope = GradientOf(source.Name);
            Value gradient = gradients.TryGetValue(source, out Value? found) ? found : builder.Filled(0, source);
            names[source.Name] = builder.AddOutput(gradient, GradientOf(source.Name), source).Name;
        }
        // Initializers go back to being constants of the model.
        foreach (Value input in graph.Inputs.Where(i => weights.ContainsKey(i.Name)).ToList())
        {
            graph.Inputs.Remove(input);
            input.Data = weights[input.Name];
            graph.Initializers.Add(input);
        }
        MergeEqualNodes.Run(graph);
        RemoveDeadNodes.Run(graph);
        OperatorTable.Attach(model);
        GraphChecker.Check(model, "gradient model");
        return new GradientModel(model) { Gradients = names };
    }
}
