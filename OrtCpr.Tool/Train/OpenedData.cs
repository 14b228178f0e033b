using OrtCpr.Data;
using OrtCpr.Vision;

namespace OrtCpr.Tool.Train;

// The data of a run. Pictures: the source of the pictures, whole where training and validation are parts of it; null for data of other
// kinds.
internal sealed record OpenedData(DataSource Training, DataSource? Validation, ImageSource? Pictures) : IDisposable
{
    public void Dispose()
    {
        Training.Dispose();
        Validation?.Dispose();
        Pictures?.Dispose();
    }
}
