using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Tests.House;
using OrtCpr.Tool.Verify;

namespace OrtCpr.Tests.OnnxTraining;

/// <summary>Jobs that are written as training_info: models with their batches, and optimizers.</summary>
internal static class TrainingInfoJobs
{
    public static Dictionary<string, OptimizerOptions> Optimizers { get; } = new(StringComparer.Ordinal)
    {
        ["adamw"] = new() { Groups = [UpdateRule.AdamW(1e-3)] },
        ["adam"] = new() { Groups = [UpdateRule.Adam(1e-3)], MaxGradientNorm = 1 },
        ["sgd-momentum"] = new() { Groups = [UpdateRule.Sgd(1e-2, new ScaleByMomentum(0.9))] },
        ["adamcpr"] = new()
        {
            Groups = [UpdateRule.AdamCpr(1e-3, constraint: new ConstrainNorm { Bound = Bound.AfterSteps(5), KappaUpdate = 1 })],
        },
        ["adamcpr-inflection"] = new()
        {
            Groups = [UpdateRule.AdamCpr(1e-2, new ScaleByAdam { AmsGrad = true }, new ConstrainNorm { Bound = Bound.AtInflection(2) })],
        },
        // An ε that keeps gradients which are rounding alone, as of the biases of keys, from becoming full steps.
        ["adamcpr-epsilon"] = new()
        {
            Groups = [UpdateRule.AdamCpr(1e-3, new ScaleByAdam { Epsilon = 1e-4 }, new ConstrainNorm { Bound = Bound.AfterSteps(5) })],
        },
        ["rescaling"] = new() { Groups = [UpdateRule.Adam(1e-3)], Rescaling = new RescaleWeights() },
    };

    private static readonly string[] Models =
        ["mlp_dynamo", "lenet", "gpt2_dynamo", "lstm_lm", "gpt2_5m", "batch_normalized", "dropout", "double"];

    public static IEnumerable<object[]> All => Models.SelectMany(model => OptimizersOf(model).Select(o => new object[] { model, o }));

    private static IEnumerable<string> OptimizersOf(string model) => model switch
    {
        "mlp_dynamo" or "batch_normalized" => Optimizers.Keys,
        "dropout" or "double" => ["adamcpr"],
        _ => Optimizers.Keys.Take(4),
    };

    public static (TrainingPlan Plan, Func<int, Batch> Batches) Of(string model, string optimizer) => Of(model, Optimizers[optimizer]);

    private static (TrainingPlan Plan, Func<int, Batch> Batches) Of(string model, OptimizerOptions optimizer)
    {
        switch (model)
        {
            case "batch_normalized":
                return (TrainingGraphBuilder.Build(TestModels.BatchNormalized(), new TrainingOptions { Optimizer = optimizer }),
                    step => TestModels.Batch(8, seed: step));
            case "dropout":
                TrainingPlan dropped = TrainingGraphBuilder.Build(WithDropout(), new TrainingOptions { Optimizer = optimizer });
                Assert.IsNotNull(dropped.DropoutSeed);
                return (dropped, step => TestModels.Batch(8, seed: step));
            case "double":
                return (TrainingGraphBuilder.Build(TestModels.Linear(ElementType.Double), new TrainingOptions { Optimizer = optimizer }),
                    step => Doubles(step));
            case "gpt2_5m":
                TrainingPlan plan = TrainingGraphBuilder.Build(Path.Combine(Repository.Root, "artifacts", "gpt2_5m.onnx"),
                    new TrainingOptions { Optimizer = optimizer, Seed = 1 });
                return (plan, step => Tokens(plan, step));
            default:
                var data = new CaseData(TestModels.Case($"models/{model}.safetensors"));
                string[] trainable = [.. data.Json("trainable", "[]").EnumerateArray().Select(e => e.GetString()!)];
                return (TrainingGraphBuilder.Build(data.ModelPath, new TrainingOptions
                {
                    Loss = CaseLosses.Of(data),
                    Optimizer = optimizer,
                    Parameters = new ParameterOptions { TrainOnly = ModelGradient.Exactly(trainable) },
                    BatchNormalization = ModelGradient.Mode(data),
                }), _ => CaseBatch(data));
        }
    }

    // x [batch, 4] → Gemm → Dropout → Gemm → logits [batch, 3].
    private static byte[] WithDropout()
    {
        OnnxModel model = OnnxModel.Create("dropout", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 4));
        Value hidden = g.Op("Gemm", [x, TestModels.Weight(graph, "fc1.weight", 6, 4), TestModels.Weight(graph, "fc1.bias", 6)],
            ("transB", 1));
        Value kept = g.Op("Dropout", [hidden, g.Scalar(0.5, ElementType.Float), g.Scalar(1, ElementType.Bool)]);
        Value logits = g.Op("Gemm", [kept, TestModels.Weight(graph, "fc2.weight", 3, 6), TestModels.Weight(graph, "fc2.bias", 3)],
            ("transB", 1));
        graph.Outputs.Add(g.Named(logits, "logits"));
        return GraphWriter.ToBytes(model);
    }

    private static Batch Doubles(int seed)
    {
        var random = new Random(seed);
        return new Batch().Add("x", Enumerable.Range(0, 32).Select(_ => random.NextDouble()).ToArray(), 8, 4)
            .Add("labels", Enumerable.Range(0, 8).Select(_ => (long)random.Next(3)).ToArray(), 8);
    }

    private static Batch CaseBatch(CaseData data)
    {
        var batch = new Batch();
        foreach (string prefix in new[] { "input/", "target/" })
        {
            foreach (string name in data.Names(prefix)) batch.Add(name, data.Tensor(prefix + name));
        }
        return batch;
    }

    private static Batch Tokens(TrainingPlan plan, int seed)
    {
        const int Rows = 2, Length = 8;
        var random = new Random(seed);
        var batch = new Batch();
        foreach (BatchInput input in plan.BatchInputs)
            batch.Add(input.Name, Enumerable.Range(0, Rows * Length).Select(_ => (long)random.Next(100)).ToArray(), Rows, Length);
        return batch;
    }
}
