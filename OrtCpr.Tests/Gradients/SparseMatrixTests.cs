using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Gradients;

/// <summary>SparseToDenseMatMul by its kernel where the sparse matrix is fed, and written out where it is in the file.
/// The product is linear, so that the numbers of its gradient are known exactly.</summary>
[TestClass]
public sealed class SparseMatrixTests
{
    private const string Operator = "com.microsoft.SparseToDenseMatMul";

    /// <summary>The rows of the property test feed dense tensors only.</summary>
    public static IReadOnlyList<string> Operators => [Operator];

    private static readonly double[] Matrix = [0, 1.5, 0, -2, 0, 0, 0.25, 0, 3, 0, 0, 0];

    /// <summary>y = 2·op(A)·op(B) for a sparse A [3, 4] and B or its transpose, both 5 wide.</summary>
    private static ModelProto Model(bool transA, bool transB, ElementType type)
    {
        OnnxModel model = OnnxModel.Create("sparse", 18);
        model.Opsets["com.microsoft"] = 1;
        var g = new GraphBuilder(model.Graph);
        long inner = transA ? 3 : 4;
        Value a = model.Graph.AddInput("A", ElementType.Undefined, null);
        Value b = model.Graph.AddInput("B", type, transB ? Shape.Of(5, inner) : Shape.Of(inner, 5));
        a.Origin = new ValueInfoProto
        {
            Type = new TypeProto
            {
                SparseTensorType = new TypeProto.Types.SparseTensor
                { ElemType = (int)type, Shape = GraphWriter.TensorType(type, Shape.Of(3, 4)).TensorType.Shape }
            }
        };
        Value y = g.Op(Operator, [a, b], ("alpha", 2f), ("transA", transA), ("transB", transB));
        model.Graph.Outputs.Add(GraphBuilder.Typed(g.Named(y, "y"), ElementType.Undefined, null));
        return GraphWriter.Write(model);
    }

    private static double[] Product(double[] a, double[] b, int rows, int inner, int columns, double alpha) =>
        [.. Enumerable.Range(0, rows * columns)
            .Select(i => alpha * Enumerable.Range(0, inner).Sum(k => a[(i / columns * inner) + k] * b[(k * columns) + (i % columns)]))];

    private static double[] Transposed(double[] x, int rows, int columns) =>
        [.. Enumerable.Range(0, rows * columns).Select(i => x[(i % rows * columns) + (i / rows)])];

    private static TensorData Tensor(double[] values, ElementType type, params long[] dims) =>
        TensorData.From<double>(values, dims).ConvertTo(type);

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void FedMatrix_GivesTheGradientOfTheDenseOne(bool compressed)
    {
        foreach ((bool transA, bool transB, ElementType type) in from a in new[] { false, true }
                                                                 from b in new[]
            { false, true }
                                                                 from t in new[] { ElementType.Float, ElementType.Double }
                                                                 select (a, b, t))
        {
            int rows = transA ? 4 : 3, inner = transA ? 3 : 4;
            // The kernel multiplies by alpha in float only.
            double alpha = type == ElementType.Float ? 2 : 1;
            ModelProto model = Model(transA, transB, type);
            double[] b = RuleCases.X(inner, 5).Values, dy = RuleCases.X(rows, 5).Values, a = transA ? Transposed(Matrix, 3, 4) : Matrix;
            TensorData stored = transB ? Tensor(Transposed(b, inner, 5), type, 5, inner) : Tensor(b, type, inner, 5);
            using SparseTensor sparse = SparseTensor.Of(Tensor(Matrix, type, 3, 4), compressed);
            using Batch batch = new Batch().Add("B", stored).Add("y_cotangent", Tensor(dy, type, rows, 5));
            using InferenceSession back = RuleCheck.Open(GradientModel.Build(model.ToByteArray(), ["y"], ["B"]).ToBytes());
            using var run = new RunOptions();
            using IDisposableReadOnlyCollection<OrtValue> results =
                back.Run(run, ["A", "B", "y_cotangent"], [sparse.Value, batch.Tensors["B"], batch.Tensors["y_cotangent"]], ["y", "B_grad"]);
            double[] dB = Product(rows == 3 ? Transposed(a, 3, 4) : Transposed(a, 4, 3), dy, inner, rows, 5, alpha);
            Near(Product(a, b, rows, inner, 5, alpha), results[0], type, $"y {transA} {transB} {type}");
            Near(transB ? Transposed(dB, inner, 5) : dB, results[1], type, $"gradient {transA} {transB} {type}");
        }
    }

    private static void Near(double[] expected, OrtValue found, ElementType type, string what)
    {
        double[] values = type == ElementType.Double ? found.GetTensorDataAsSpan<double>().ToArray()
            : [.. found.GetTensorDataAsSpan<float>().ToArray().Select(v => (double)v)];
        Assert.AreEqual(0, expected.Zip(values, (e, v) => Math.Abs(e - v)).Max(), type == ElementType.Double ? 1e-13 : 1e-5, what);
    }

    private static SparseTensorProto Stored(string name, bool coordinates)
    {
        long[] places = [.. Enumerable.Range(0, 12).Where(i => Matrix[i] != 0).Select(i => (long)i)];
        TensorData indices = coordinates ? TensorData.From<long>([.. places.SelectMany(p => new[] { p / 4, p % 4 })], places.Length, 2)
            : TensorData.From<long>(places, places.Length);
        return new SparseTensorProto
        {
            Values = TensorSerializer.Write(name, Tensor([.. places.Select(p => Matrix[p])], ElementType.Float, places.Length)),
            Indices = TensorSerializer.Write("", indices),
            Dims = { 3, 4 }
        };
    }

    /// <summary>ONNX Runtime itself refuses such a file, whichever way the matrix is in it; it is trained all the same,
    /// and exported with the matrix as it came.</summary>
    [TestMethod]
    [DataRow(false, false)]
    [DataRow(true, false)]
    [DataRow(false, true)]
    [DataRow(true, true)]
    public void MatrixInTheFile_IsAConstantOfTheProgram(bool coordinates, bool node)
    {
        ModelProto model = Model(false, false, ElementType.Float);
        model.Graph.Input.Clear();
        SparseTensorProto matrix = Stored(node ? "" : "A", coordinates);
        if (node)
        {
            model.Graph.Node.Insert(0, new NodeProto
            {
                OpType = "Constant",
                Output = { "A" },
                Attribute =
                    { new AttributeProto
                        { Name = "sparse_value", Type = AttributeProto.Types.AttributeType.SparseTensor, SparseTensor = matrix } }
            });
        }
        else
        {
            model.Graph.SparseInitializer.Add(matrix);
        }
        double[] b = RuleCases.X(4, 5).Values;
        model.Graph.Initializer.Add(TensorSerializer.Write("B", Tensor(b, ElementType.Float, 4, 5)));
        Assert.ThrowsExactly<OnnxRuntimeException>(() => RuleCheck.Open(model.ToByteArray()).Dispose());

        TrainingPlan graphs =
            TrainingGraphBuilder.Build(model.ToByteArray(), new TrainingOptions { Loss = new OutputLoss(Reduction.Sum) });
        CollectionAssert.AreEqual(new[] { "B" }, graphs.Parameters.Trained.Select(p => p.Name).ToArray());
        using var driver = new TrainingDriver(graphs);
        using var batch = new Batch();
        Assert.AreEqual(Product(Matrix, b, 3, 4, 5, 2).Sum(), driver.TrainStep(batch), 1e-5);
        using Evaluation evaluation = driver.EvalStep(batch);
        Assert.AreEqual(Product(Matrix, b, 3, 4, 5, 2).Sum(), evaluation.Loss, 1e-5);
        double[] expected = Product(Transposed(Matrix, 3, 4), [.. Enumerable.Repeat(1.0, 15)], 4, 3, 5, 2);
        double[] found = driver.GetGradient("B").ToDoubles();
        Assert.AreEqual(0, expected.Zip(found, (e, f) => Math.Abs(e - f)).Max(), 1e-5);
        using var file = new MemoryStream();
        driver.ExportModel(file);
        ModelProto exported = ModelProto.Parser.ParseFrom(file.ToArray());
        Assert.AreEqual(matrix, node ? exported.Graph.Node[0].Attribute[0].SparseTensor : exported.Graph.SparseInitializer.Single());
    }

    [TestMethod]
    public void GradientOfTheSparseMatrix_IsRefused() =>
        StringAssert.Contains(
            Assert.ThrowsExactly<OptionException>(() =>
                GradientModel.Build(Model(false, false, ElementType.Float).ToByteArray(), ["y"], ["A", "B"])).Message, "'A'");

    [TestMethod]
    public void TrainingWithAFedMatrix_IsRefusedByTheBatch_WithTheWayOut()
    {
        ModelProto model = Model(false, false, ElementType.Float);
        model.Graph.Input.RemoveAt(1);
        model.Graph.Initializer.Add(TensorSerializer.Write("B", Tensor(RuleCases.X(4, 5).Values, ElementType.Float, 4, 5)));
        using var driver =
            new TrainingDriver(
                TrainingGraphBuilder.Build(model.ToByteArray(), new TrainingOptions { Loss = new OutputLoss(Reduction.Sum) }));
        using Batch batch = new Batch().Add("A", Tensor(Matrix, ElementType.Float, 3, 4));
        DriverException error = Assert.ThrowsExactly<DriverException>(() => driver.TrainStep(batch));
        foreach (string part in new[] { "'A'", "initializer" }) StringAssert.Contains(error.Message, part);
    }
}
