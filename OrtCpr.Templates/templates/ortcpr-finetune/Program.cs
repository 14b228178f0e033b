using OrtCpr;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Logging;
using OrtCpr.Metrics;

// dotnet run [MODEL.onnx] [DATA.csv]: the table's column "label" has the classes, its other columns are the model's input.
string Here(string file) => Path.Combine(AppContext.BaseDirectory, file);
string model = args.Length > 0 ? args[0] : Here("model.onnx"), table = args.Length > 1 ? args[1] : Here("data.csv");

using DataSource data = DataSource.FromCsv(table, new CsvOptions { Label = "label" });
(DataSource training, DataSource validation) = data.Split(0.8);
IReadOnlyList<string> classes = data.Columns.Single(c => c.IsLabel).ClassNames;

// A new last layer with these classes. The rest of the model keeps what it has learned.
ModelHead.Replace(model, "headed.onnx", at: null, new DenseHead { Classes = classes.Count, ClassNames = [.. classes] });
Train("head", learningRate: 1e-2, epochs: 10, new ParameterOptions { TrainOnly = ModelHead.Parameters("headed.onnx") }, "headed.onnx");
Train("all", learningRate: 1e-3, epochs: 10, new ParameterOptions(), "head.onnx");
Console.WriteLine($"The trained model is {Path.GetFullPath("all.onnx")}.");

// Trains what the options name, and exports the model to NAME.onnx.
void Train(string name, double learningRate, int epochs, ParameterOptions parameters, string from)
{
    using TrainingDriver driver = TrainingDriver.Create(from, new TrainingOptions
    {
        Parameters = parameters,
        Optimizer = new OptimizerOptions { Groups = [UpdateRule.AdamCpr(learningRate)] },
    });
    DataLoader batches = new(training, driver.Plan.BatchInputs),
        held = new(validation, driver.Plan.BatchInputs, new DataLoaderOptions { Shuffle = false });
    var trainer = new Trainer(driver);
    EvaluationReport before = trainer.Evaluate(held, [Metric.Accuracy()]);
    trainer.Fit(batches, new FitOptions { Epochs = epochs, Callbacks = [ProgressBar.ToStandardError()] });
    EvaluationReport after = trainer.Evaluate(held, [Metric.Accuracy(), Metric.F1()]);
    Console.WriteLine($"{name}: accuracy {before["accuracy"]:P1} before, {after["accuracy"]:P1} after");
    Console.WriteLine(after.Confusion!.Named(classes));
    driver.ExportModel($"{name}.onnx");
}
